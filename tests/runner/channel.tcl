# Messages from a unit process to the coordinator, over the unit's stdout.
#
# A message is one line: a mark, then a Tcl list with line ends escaped.
# All other text on the pipe is something a test printed and is passed through.
#
#   begin NAME SECONDS LINE        a test starts; SECONDS is its own deadline or 0
#   case STATE NAME MS LINE TEXT   a test ended: ok err error timeout skip ignore
#   ignored COUNT REASON           a block of COUNT tests was left out by its tags
#   server PID DIR PORT            a server was started; `gone PID` when it is down
#   solo NAME                      a run_solo body waits for its turn
#   port N                         the port cursor of the slot
#   sent COMMAND FIRST MORE        words sent with a command: in first place, and further ones
#   note TEXT LEVEL                text for the console from verbosity LEVEL on
#   done                           the file was run to its end

namespace eval channel {
    variable mark \x01runtest:\x02
}

proc channel::send {args} {
    variable mark
    puts stdout $mark[string map {\\ \\\\ \n \\n \r \\r} $args]
    flush stdout
}

# Split a line into {TEXT-BEFORE MESSAGE}; MESSAGE is {} when there is none.
proc channel::parse {line} {
    variable mark
    set at [string first $mark $line]
    if {$at < 0} {
        return [list $line {}]
    }
    set message [string map {\\\\ \\ \\n \n \\r \r} [string range $line [expr {$at + [string length $mark]}] end]]
    return [list [string range $line 0 $at-1] $message]
}
