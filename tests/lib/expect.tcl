# Assertions. A failed one raises an error that starts with `assertion:` and says
# what was expected, what came, and where they differ.

namespace eval expect {}

# Raise an assertion failure.
proc expect::failed {message {difference ""} {detail ""}} {
    set text "assertion:$message"
    if {$detail ne ""} {
        append text " (detail: $detail)"
    }
    if {$difference ne ""} {
        append text "\n$difference"
    }
    return -code error -errorcode {HARNESS ASSERTION} $text
}

proc expect::quote {value} {
    return "'[diff::short $value]'"
}

proc assert {condition {detail ""}} {
    if {![uplevel 1 [list expr $condition]]} {
        set seen [waits::values [expr {[info level] - 1}] $condition 1]
        expect::failed "Expected $condition$seen" "" $detail
    }
}

proc assert_equal {value expected {detail ""}} {
    if {$expected ne $value} {
        expect::failed "Expected [expect::quote $value] to be equal to [expect::quote $expected]" \
            [diff::show $value $expected {left right}] $detail
    }
}

proc assert_not_equal {value expected {detail ""}} {
    if {$expected eq $value} {
        expect::failed "Expected [expect::quote $value] to be not equal to [expect::quote $expected]" "" $detail
    }
}

proc assert_match {pattern value {detail ""}} {
    if {![string match $pattern $value]} {
        expect::failed "Expected [expect::quote $value] to match [expect::quote $pattern]" "" $detail
    }
}

proc assert_no_match {pattern value {detail ""}} {
    if {[string match $pattern $value]} {
        expect::failed "Expected [expect::quote $value] to not match [expect::quote $pattern]" "" $detail
    }
}

proc assert_failed {message {detail ""}} {
    expect::failed $message "" $detail
}

foreach {name operator words} {
    assert_lessthan < "less than"
    assert_lessthan_equal <= "less than or equal to"
    assert_morethan > "more than"
    assert_morethan_equal >= "more than or equal to"
} {
    proc $name {value expected {detail ""}} [string map [list @op $operator @words $words] {
        if {!($value @op $expected)} {
            expect::failed "Expected [expect::quote $value] to be @words [expect::quote $expected]" "" $detail
        }
    }]
}

proc assert_range {value min max {detail ""}} {
    if {!($value <= $max && $value >= $min)} {
        expect::failed "Expected [expect::quote $value] to be between [expect::quote $min] and [expect::quote $max]" \
            "" $detail
    }
}

# CODE must raise an error that globs PATTERN.
proc assert_error {pattern code {detail ""}} {
    if {[uplevel 1 [list catch $code ::expect::message]] != 1} {
        expect::failed "Expected an error matching [expect::quote $pattern] but got [expect::quote $::expect::message]" \
            "" $detail
    }
    if {![string match $pattern $::expect::message]} {
        expect::failed "Expected an error matching [expect::quote $pattern] but got the error [expect::quote $::expect::message]" \
            "" $detail
    }
}

proc assert_encoding {encoding key} {
    if {$::ignoreencoding} {
        return
    }
    set actual [r object encoding $key]
    if {![string match $encoding $actual]} {
        expect::failed "Expected the encoding of key '$key' to match '$encoding' but it is '$actual'"
    }
}

proc assert_type {type key} {
    assert_equal [r type $key] $type "type of key '$key'"
}

proc assert_refcount {count key} {
    if {"needs:debug" in $::denytags} {
        return
    }
    assert_equal [r object refcount $key] $count "reference count of key '$key'"
}

proc assert_refcount_morethan {key count} {
    if {"needs:debug" in $::denytags} {
        return
    }
    assert_morethan [r object refcount $key] $count "reference count of key '$key'"
}

# The same checks, but the test goes on and fails at its end.
foreach name {equal not_equal match no_match lessthan lessthan_equal morethan morethan_equal range error} {
    proc expect_$name {args} [string map [list @name assert_$name] {
        if {[catch {uplevel 1 [list @name {*}$args]} message options]} {
            if {![string match assertion:* $message]} {
                return -options $options $message
            }
            lappend cases::soft_failures $message
        }
    }]
}
