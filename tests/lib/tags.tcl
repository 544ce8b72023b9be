# Tags: the registry, the stack of enclosing tags, and the decision what to leave
# out. See tests/tags.txt for the known tags.

namespace eval tags {
    variable known {}
    variable stack {}
    variable required {}
    variable denied {}
    # Facts about the run: external singledb cluster_mode tls large_memory
    # io_threads valgrind peer (all 0 or 1).
    variable mode {}
}

proc tags::load_registry {path} {
    variable known
    set channel [open $path]
    foreach line [split [read $channel] \n] {
        if {[regexp {^([^#\s]\S*)\s+(.*)$} $line - tag meaning]} {
            dict set known $tag $meaning
        }
    }
    close $channel
}

# Take the words of all --tags options.
proc tags::configure {words facts} {
    variable required
    variable denied
    variable mode $facts
    set required {}
    set denied {}
    foreach word [join $words] {
        if {[string index $word 0] eq "-"} {
            lappend denied [alias [string range $word 1 end]]
        } else {
            lappend required [alias $word]
        }
    }
    check_known [concat $required $denied]
}

proc tags::alias {tag} {
    expr {$tag eq "largemem:skip" ? "large-memory" : $tag}
}

proc tags::check_known {list} {
    variable known
    foreach tag $list {
        if {![dict exists $known $tag] && ![regexp {^(timeout|cost):\d+$|^ours:skip:\S+$|^needs:tool:\S+$} $tag]} {
            throw {HARNESS TAG} "unknown tag '$tag' (the known ones are in tests/tags.txt)"
        }
    }
}

proc tags::push {list} {
    variable stack
    # A tag written as a sentence is several tags.
    set list [lmap tag [join $list] {alias $tag}]
    check_known $list
    lappend stack $list
}

proc tags::pop {} {
    variable stack
    set stack [lrange $stack 0 end-1]
}

proc tags::current {} {
    variable stack
    concat {*}$stack
}

# Why something with these tags is left out; empty when it is to run. CODE is the
# text of a block: required tags may be satisfied by a word inside it.
proc tags::reason {list {code ""}} {
    variable required
    variable denied
    variable mode
    if {[llength $required] && ![any $required $list] && ![mentions $code $required]} {
        return "Tag: none of the tags allowed"
    }
    foreach tag $denied {
        if {$tag in $list} {
            return "Tag: $tag denied"
        }
    }
    foreach {tag fact text} {
        external:skip external "Not supported on external server"
        singledb:skip singledb "Not supported on singledb"
        cluster:skip cluster_mode "Not supported in cluster mode"
        tls:skip tls "Not supported in tls mode"
        io-threads:skip io_threads "Not supported in io-threads mode"
        valgrind:skip valgrind "Not supported under valgrind"
        peer:skip peer "Behaviour of our server only"
    } {
        if {$tag in $list && [dict get $mode $fact]} {
            return $text
        }
    }
    if {"peer-tls:skip" in $list && [dict get $mode peer] && [dict get $mode tls]} {
        return "The other server differs over TLS"
    }
    if {"large-memory" in $list && ![dict get $mode large_memory]} {
        return "large memory flag not provided"
    }
    foreach tag $list {
        if {[string match ours:skip:* $tag] && ![dict get $mode peer]} {
            return "Known divergence: [string range $tag 10 end]"
        }
        if {$tag eq "needs:root" && $::tcl_platform(user) ne "root"} {
            return "Needs root"
        }
        if {$tag eq "needs:other-server" && $::other_server_bin eq ""} {
            return "Needs --other-server-bin"
        }
        if {$tag eq "needs:linux" && $::tcl_platform(os) ne "Linux"} {
            return "Needs Linux"
        }
        if {[regexp {^needs:tool:(.*)$} $tag - tool] && [auto_execok $tool] eq ""
                && [auto_execok valkey-$tool] eq ""} {
            return "Needs the program $tool"
        }
    }
    return ""
}

proc tags::any {wanted list} {
    foreach tag $wanted {
        if {$tag in $list} {
            return 1
        }
    }
    return 0
}

proc tags::mentions {code wanted} {
    foreach tag $wanted {
        set quoted [regsub -all {[][*+?{}()|.^$\\-]} $tag {\\&}]
        if {[regexp "(?:^|\[^\\w:-\])${quoted}(?:\[^\\w:-\]|\$)" $code]} {
            return 1
        }
    }
    return 0
}

# The deadline a tag asks for, in seconds; 0 when there is none.
proc tags::deadline {list} {
    set seconds 0
    foreach tag $list {
        if {[regexp {^timeout:(\d+)$} $tag - own]} {
            set seconds [expr {max($seconds, [scan $own %d])}]
        }
    }
    return $seconds
}

# Run CODE in the caller's scope with more tags, or leave it out.
proc tags {list code} {
    if {[cases::block_left_out $code]} {
        cases::ignore_block $code "no test of it is chosen"
        return
    }
    tags::push $list
    set reason [tags::reason [tags::current] $code]
    if {$reason ne ""} {
        cases::ignore_block $code $reason
        tags::pop
        return
    }
    set status [catch {uplevel 1 $code} value options]
    tags::pop
    if {$status == 1} {
        return -options $options $value
    }
}
