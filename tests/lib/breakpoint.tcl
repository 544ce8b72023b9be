# `bp ?LABEL?`: stop the test and evaluate lines typed at the terminal in the
# caller's scope. `c` goes on, `i` lists local variables; a label in ::bp_skip is
# passed over.

set ::bp_skip {}

proc bp {{label {}}} {
    if {$label ne "" && $label in $::bp_skip} {
        return
    }
    if {[catch {open /dev/tty r+} tty]} {
        return
    }
    set caller [expr {[info level] > 1 ? [lindex [info level -1] 0] : "global"}]
    while 1 {
        puts -nonewline $tty "$caller/$label> "
        flush $tty
        if {[gets $tty line] < 0 || $line eq "c"} {
            break
        }
        if {$line eq "i"} {
            foreach name [lsort [uplevel 1 {info locals}]] {
                catch {puts $tty "$name = [uplevel 1 [list set $name]]"}
            }
            continue
        }
        if {$line ne ""} {
            catch {uplevel 1 $line} result
            puts $tty $result
        }
    }
    close $tty
}
