# Writing and reading append-only files and their manifests.

namespace eval aof {
    variable channel ""
}

proc append_to_aof {text} {
    puts -nonewline $aof::channel $text
}

proc append_to_manifest {text} {
    puts -nonewline $aof::channel $text
}

# Write FILE below DIR with the CODE's append_to_aof calls.
proc create_aof {dir file code} {
    file mkdir $dir
    if {[file pathtype $file] eq "relative" && ![string match $dir/* $file]} {
        set file [file join $dir $file]
    }
    set aof::channel [open $file w]
    fconfigure $aof::channel -translation binary
    set status [catch {uplevel 1 $code} value options]
    close $aof::channel
    return -options $options $value
}

proc create_aof_manifest {dir file code} {
    uplevel 1 [list create_aof $dir $file $code]
}

proc create_aof_dir {dir} {
    file mkdir $dir
}

# A server on prepared persistence files, which are kept.
proc start_server_aof {overrides code} {
    uplevel 1 [list start_server_aof_ex $overrides {} $code]
}

# The caller's variable `defaults` holds common directives.
proc start_server_aof_ex {overrides options code} {
    upvar 1 defaults defaults
    set directives [expr {[info exists defaults] ? [concat $defaults $overrides] : $overrides}]
    uplevel 1 [list start_server [concat [list overrides $directives keep_persistence true] $options] $code]
}

# One command of an open file as a list, the first word in lower case; annotation
# lines are passed over; empty at the end.
proc read_from_aof {channel} {
    fconfigure $channel -translation binary
    while {[gets $channel line] >= 0} {
        if {[string index $line 0] eq "#"} {
            continue
        }
        if {![regexp {^\*(\d+)\r$} $line - count]} {
            error "no command in the append-only file: '[diff::printable $line]'"
        }
        set words {}
        for {} {$count > 0} {incr count -1} {
            gets $channel head
            lappend words [read $channel [string range [string trimright $head \r] 1 end]]
            read $channel 2
        }
        return [lreplace $words 0 0 [string tolower [lindex $words 0]]]
    }
    return ""
}

# The commands of an append-only file glob PATTERNS, one by one.
proc assert_aof_content {file patterns} {
    set channel [open $file rb]
    set status [catch {
        foreach pattern $patterns {
            assert_match $pattern [read_from_aof $channel]
        }
    } value options]
    close $channel
    return -options $options $value
}

# The lines of a manifest glob PATTERNS, and there are no others.
proc assert_aof_manifest_content {file patterns} {
    set lines [split [string trimright [catalog::read_file $file]] \n]
    assert_equal [llength $lines] [llength $patterns] "manifest lines: $lines"
    foreach pattern $patterns line $lines {
        assert_match $pattern $line
    }
}

proc aof::dir {client} {
    file join [lindex [{*}$client config get dir] 1] [lindex [{*}$client config get appenddirname] 1]
}

# The file name of the last manifest line of a type (b base, i incremental).
proc aof::named {client type} {
    set manifest [file join [dir $client] [lindex [{*}$client config get appendfilename] 1].manifest]
    set name ""
    foreach line [split [catalog::read_file $manifest] \n] {
        if {[regexp {^file (\S+) seq \d+ type (\w)} $line - file kind] && $kind eq $type} {
            set name $file
        }
    }
    return $name
}

proc get_last_incr_aof_path {client} {
    file join [aof::dir $client] [aof::named $client i]
}

proc get_base_aof_path {client} {
    file join [aof::dir $client] [aof::named $client b]
}

proc get_cur_base_aof_name {manifest} {
    foreach line [split [catalog::read_file $manifest] \n] {
        if {[regexp {^file (\S+) seq \d+ type b} $line - file]} {
            return $file
        }
    }
    return ""
}

proc check_file_exist {dir filename} {
    file exists [file join $dir $filename]
}

proc clean_aof_persistence {dir} {
    file delete -force -- $dir
}

proc clean_persistence {config} {
    catch {file delete -- [file join [dict get $config dir] dump.rdb]}
    catch {file delete -force -- [file join [dict get $config dir] appendonlydir]}
}
