# Machine output while the run goes on: one JSON object a line.
#
#   {"event":"run","server":...,"path":...,"seed":...}
#   {"event":"unit-start","unit":...,"attempt":1}
#   {"event":"case","unit":...,"name":...,"state":"ok","ms":3,"line":12,"attempt":1,"text":""}
#   {"event":"sent","unit":...,"command":"config","first":"get set","more":"maxmemory"}
#   {"event":"unit-end","unit":...,"seconds":2}
#   {"event":"end","passed":1,"failed":0,"skipped":0,"flaky":0,"quarantined":0}

namespace eval events {
    variable channel ""
    # The members that are numbers.
    variable numbers {ms line attempt seconds passed failed skipped flaky quarantined seed}
}

# Open PATH; an empty one means that nobody wants events.
proc events::open {path} {
    variable channel
    if {$path eq ""} {
        return
    }
    if {[catch {::open $path w} channel]} {
        options::fail "--events: $channel"
    }
    fconfigure $channel -encoding utf-8 -buffering line
}

proc events::write {event args} {
    variable channel
    variable numbers
    if {$channel eq ""} {
        return
    }
    set members [list "\"event\":[quote $event]"]
    foreach {name value} $args {
        lappend members "[quote $name]:[expr {$name in $numbers ? $value : [quote $value]}]"
    }
    puts $channel "{[join $members ,]}"
}

# TEXT as a JSON string.
proc events::quote {text} {
    set text [string map {\\ \\\\ \" \\\" \n \\n \r \\r \t \\t} $text]
    foreach {- char} [regexp -all -inline {([\x00-\x1f\x7f])} $text] {
        set text [string map [list $char [format \\u%04x [scan $char %c]]] $text]
    }
    return "\"$text\""
}
