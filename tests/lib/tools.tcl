# The command line tools, scratch files, addresses.

# Command lists for `exec {*}[...]`.
proc valkeycli {host port {opts {}}} {
    list $::VALKEY_CLI_BIN -h $host -p $port {*}[tlsargs] {*}[tools::credentials] {*}$opts
}

proc valkeycliuri {scheme host port {opts {}}} {
    list $::VALKEY_CLI_BIN -u $scheme$host:$port {*}[tlsargs] {*}$opts
}

proc valkeycli_unixsocket {unixsocket {opts {}}} {
    list $::VALKEY_CLI_BIN -s $unixsocket {*}$opts
}

# Run the client with ARGS against a server of the stack; returns its output.
proc valkeycli_exec {level args} {
    exec {*}[valkeycli [srv $level host] [srv $level port]] {*}$args
}

proc valkeybenchmark {host port {opts {}}} {
    list $::VALKEY_BENCHMARK_BIN -h $host -p $port {*}[tlsargs] {*}[tools::credentials] {*}$opts
}

proc valkeybenchmarkuri {host port {opts {}}} {
    list $::VALKEY_BENCHMARK_BIN -u valkey://$host:$port {*}[tlsargs] {*}$opts
}

proc valkeybenchmarkuriuserpass {host port user pass {opts {}}} {
    list $::VALKEY_BENCHMARK_BIN -u valkey://$user:$pass@$host:$port {*}[tlsargs] {*}$opts
}

namespace eval tools {
    variable scratch 0
}

proc tools::credentials {} {
    if {!$::external || ($::user eq "" && $::pass eq "")} {
        return {}
    }
    concat [expr {$::user eq "" ? {} : [list --user $::user]}] [list -a $::pass --no-auth-warning]
}

# A new name for a scratch file; `tmpdir` makes a directory.
proc tmpfile {basename} {
    file join $unit::dir $basename.[pid].[incr tools::scratch]
}

proc tmpdir {basename} {
    set dir [tmpfile $basename.dir]
    file mkdir $dir
    return $dir
}

# An address of this host that is not loopback (127.0.0.1 when there is none).
proc get_nonloopback_addr {} {
    foreach word [split [exec hostname -I]] {
        if {[regexp {^\d+\.\d+\.\d+\.\d+$} $word]} {
            return $word
        }
    }
    return 127.0.0.1
}

proc get_nonloopback_client {} {
    servers::open_client [get_nonloopback_addr] [srv port]
}

# Can this system print a stack trace of a crash?
proc system_backtrace_supported {} {
    if {$::tcl_platform(os) eq "Darwin"} {
        return 1
    }
    expr {$::tcl_platform(os) eq "Linux" && ![llength [glob -nocomplain /lib/ld-musl-*]]}
}

# Delete the lines of a file that match a regexp (text in, text out of the file).
proc delete_lines_with_pattern {filename tmpname pattern} {
    set kept [lmap line [split [catalog::read_file $filename] \n] {
        if {[regexp -- $pattern $line]} { continue }
        set line
    }]
    set channel [open $filename w]
    puts -nonewline $channel [join $kept \n]
    close $channel
}
