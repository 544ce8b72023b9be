# Finding the programs under test, and deciding whether the server is ours.

namespace eval binaries {}

# A dict of absolute paths: server cli benchmark check_aof check_rdb (empty when
# not found), plus `version` and `peer`. Errors carry the code {HARNESS BROKEN}.
proc binaries::find {options} {
    set dirs {}
    set server [dict get $options server_bin]
    if {$server ne ""} {
        if {![string match */* $server]} {
            set server [lindex [auto_execok $server] 0]
        }
        set server [file normalize $server]
        set dirs [list [file dirname $server]]
    } elseif {[dict get $options bin_dir] ne ""} {
        set dirs [list [file normalize [dict get $options bin_dir]]]
    } else {
        if {[info exists ::env(VALKEY_BIN_DIR)]} {
            lappend dirs $::env(VALKEY_BIN_DIR)
        }
        set targets [list [file join $::harness::root target]]
        if {[info exists ::env(CARGO_TARGET_DIR)]} {
            set targets [linsert $targets 0 $::env(CARGO_TARGET_DIR)]
        }
        foreach target $targets {
            lappend dirs {*}[lmap profile {release fast debug} {file join $target $profile}]
        }
        set server [look $dirs valkey-server]
    }
    if {$server eq ""} {
        set server [look $dirs valkey-server]
    }
    if {![file executable $server] && [dict get $options external]} {
        # The tools may still be on PATH; the server is elsewhere.
        set server ""
    } elseif {![file executable $server] || [file isdirectory $server]} {
        throw {HARNESS BROKEN} "no server to test: '$server' is no program (see --server-bin)"
    }
    set dirs [linsert $dirs 0 [file dirname $server]]
    dict set result server $server
    foreach tool {cli benchmark check_aof check_rdb} {
        dict set result $tool [look $dirs valkey-[string map {_ -} $tool]]
    }
    if {[dict get $options external]} {
        set version "external, at [dict get $options host] port [dict get $options port]"
        set server "(external)"
    } elseif {[catch {exec $server -v 2>@1} version]} {
        set version "(no version: [lindex [split $version \n] 0])"
    }
    dict set result version [string trim $version]
    dict set result peer [peer $options $server]
    return $result
}

proc binaries::look {dirs name} {
    foreach dir $dirs {
        set path [file join $dir $name]
        if {[file executable $path] && [file isfile $path]} {
            return [file normalize $path]
        }
    }
    return [lindex [auto_execok $name] 0]
}

# A server counts as a peer when it lies outside of the build directories (the
# repository's, the environment's, or any that cargo made); --peer and --ours decide
# otherwise.
proc binaries::peer {options server} {
    if {[dict get $options peer] || [dict get $options ours]} {
        return [dict get $options peer]
    }
    if {[file exists [file join [file dirname [file dirname $server]] .rustc_info.json]]} {
        return 0
    }
    set own [list [file join $::harness::root target]]
    foreach name {CARGO_TARGET_DIR VALKEY_BIN_DIR} {
        if {[info exists ::env($name)]} {
            lappend own $::env($name)
        }
    }
    foreach dir $own {
        if {[string match [file normalize $dir]/* $server]} {
            return 0
        }
    }
    return 1
}
