# Which test files there are, and where their tests stand in the text.

namespace eval catalog {
    variable dirs {unit unit/type unit/cluster integration}
}

# All unit names, sorted inside each directory.
proc catalog::units {} {
    variable dirs
    set result {}
    foreach dir $dirs {
        foreach path [lsort [glob -nocomplain -directory [file join $::harness::tests_dir $dir] *.tcl]] {
            lappend result $dir/[file rootname [file tail $path]]
        }
    }
    return $result
}

proc catalog::path {unit} {
    file join $::harness::tests_dir $unit.tcl
}

# A unit's file as reports show it: relative to the repository.
proc catalog::shown {unit} {
    expr {[file pathtype $unit] eq "absolute" ? "$unit.tcl" : "tests/$unit.tcl"}
}

# Unit names a --single or --skipunit word stands for: a name, a path (anything
# that ends in .tcl) or a glob. Empty when there is none.
proc catalog::match {word} {
    if {[string match *.tcl $word]} {
        foreach base [list [pwd] $::harness::root $::harness::tests_dir] {
            set path [file normalize [file join $base $word]]
            if {[file isfile $path]} {
                set prefix $::harness::tests_dir/
                if {[string match $prefix* $path]} {
                    return [list [file rootname [string range $path [string length $prefix] end]]]
                }
                return [list [file rootname $path]]
            }
        }
        return {}
    }
    if {[regexp {[*?\[]} $word]} {
        return [lsearch -all -inline -glob [units] $word]
    }
    if {[file isfile [path $word]]} {
        return [list $word]
    }
    return {}
}

# The units of a run, in listing order. Unknown names are usage errors.
proc catalog::select {options} {
    set chosen [units]
    if {[llength [dict get $options single]]} {
        set chosen {}
        foreach word [dict get $options single] {
            set found [match $word]
            if {![llength $found]} {
                options::fail "no such unit: $word (see --list-tests)"
            }
            lappend chosen {*}$found
        }
    }
    set till [dict get $options skip_till]
    if {$till ne ""} {
        set at [lsearch -exact $chosen [lindex [match $till] end]]
        if {$at < 0} {
            options::fail "no such unit: $till (see --list-tests)"
        }
        set chosen [lrange $chosen $at+1 end]
    }
    set skipped {}
    foreach word [dict get $options skipunit] {
        set found [match $word]
        if {![llength $found]} {
            options::fail "no such unit: $word (see --list-tests)"
        }
        lappend skipped {*}$found
    }
    return [lmap unit $chosen {
        if {$unit in $skipped} { continue }
        set unit
    }]
}

proc catalog::read_file {path} {
    set channel [open $path]
    set text [read $channel]
    close $channel
    return $text
}

# Tests in TEXT as a flat list LINE NAME LINE NAME. Names that are computed show
# as written.
proc catalog::cases {text} {
    set result {}
    set number 0
    foreach line [split $text \n] {
        incr number
        if {[regexp {^\s*test\s+(.*)$} $line - rest]} {
            lappend result $number [first_word $rest]
        }
    }
    return $result
}

proc catalog::first_word {text} {
    if {[regexp {^"((?:[^"\\]|\\.)*)"} $text - word]} {
        return $word
    }
    if {[string index $text 0] eq "\{"} {
        set depth 0
        for {set i 0} {$i < [string length $text]} {incr i} {
            switch -- [string index $text $i] {
                "\\" { incr i }
                "\{" { incr depth }
                "\}" {
                    if {[incr depth -1] == 0} {
                        return [string range $text 1 $i-1]
                    }
                }
            }
        }
    }
    return [lindex [split $text] 0]
}

# May a test whose name stands in the text as WRITTEN be one of the WORDS of --only, or be
# called ALONE? Of a name that is computed the fixed parts must fit; in doubt it may.
proc catalog::may_be_named {written words alone} {
    set computed [regexp {[$\[\\]} $written]
    set pattern [string map {* \\* ? \\? \] \\]} $written]
    set pattern [regsub -all {\$\{[^\}]*\}|\$[\w:]+(?:\([^)]*\))?|\[.*\]|\\.} $pattern *]
    set pattern [string map {\[ \\[} $pattern]
    foreach word [expr {$alone eq "" ? $words : [list $alone]}] {
        if {$word eq $written || ($computed && [string match $pattern $word])} {
            return 1
        }
        if {$alone eq "" && [string index $word 0] eq "/"
                && ($computed || [regexp -- [string range $word 1 end] $written])} {
            return 1
        }
    }
    return 0
}

# Does a procedure of this unit hold test statements?
proc catalog::procs_hold_tests {text} {
    set inside 0
    foreach line [split $text \n] {
        if {[regexp {^\s*proc\s} $line]} {
            set inside 1
        } elseif {$line eq "\}"} {
            set inside 0
        } elseif {$inside && [regexp {^\s*test\s} $line]} {
            return 1
        }
    }
    return 0
}

# Number of test statements in a piece of code.
proc catalog::count_cases {code} {
    regexp -all -line {^\s*test\s+["\{\$]} $code
}

# The line in TEXT where a braced word with this value begins, or 0. Bodies are
# found by their text: Tcl keeps no file position for code passed on in variables.
proc catalog::line_of {text body} {
    set at [string first "\{$body\}" $text]
    if {$at < 0} {
        # Inside braces Tcl turns backslash-newline-blanks into one blank.
        set pattern [regsub -all {(?:\\\n[ \t]*)} $text " "]
        set at [string first "\{$body\}" $pattern]
        if {$at < 0} {
            return 0
        }
        set head [string range $pattern 0 $at]
        set line 1
        set seen 0
        foreach part [split $text \n] {
            incr seen [expr {[string length $part] + 1}]
            if {$seen > [string length $head]} {
                break
            }
            incr line
        }
        return $line
    }
    return [expr {[regexp -all \n [string range $text 0 $at]] + 1}]
}
