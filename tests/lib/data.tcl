# Random values and data sets, and their text form. All randomness is Tcl's rand(),
# which is seeded for each test.

# ---- random values ----

proc randomInt {max} {
    expr {int(rand() * $max)}
}

proc randomSignedInt {max} {
    set n [randomInt $max]
    expr {rand() < 0.5 ? -$n : $n}
}

# Run one of the pieces of code, chosen at random, in the caller's scope.
proc randpath {args} {
    uplevel 1 [lindex $args [randomInt [llength $args]]]
}

# A string of MIN to MAX characters: binary (any byte), alpha (printable),
# simplealpha (digits and letters), compr (few different letters).
proc randstring {min max {type binary}} {
    variable ::random_letters
    if {![info exists random_letters($type)]} {
        switch -- $type {
            binary { set codes {0 255} }
            alpha { set codes {48 122} }
            compr { set codes {48 52} }
            simplealpha { set codes {48 57 65 90 97 122} }
            default { error "unknown type of random string: $type" }
        }
        foreach {low high} $codes {
            for {set code $low} {$code <= $high} {incr code} {
                lappend random_letters($type) [format %c $code]
            }
        }
    }
    set letters $random_letters($type)
    set count [llength $letters]
    set length [expr {$min + int(rand() * ($max - $min + 1))}]
    set text ""
    while {[incr length -1] >= 0} {
        append text [lindex $letters [expr {int(rand() * $count)}]]
    }
    return $text
}

# A number, a short word or a binary string.
proc randomValue {} {
    randpath {
        randomSignedInt 1000
    } {
        randomSignedInt 2000000000
    } {
        expr {[randomSignedInt 1000000000] * 1000000000}
    } {
        randstring 0 256 alpha
    } {
        randstring 0 256 compr
    } {
        randstring 0 256 binary
    }
}

proc randomKey {} {
    randpath {
        randomInt 1000
    } {
        randomInt 1000000
    } {
        randstring 1 256 alpha
    } {
        randstring 1 256 compr
    }
}

proc lshuffle {list} {
    for {set i [expr {[llength $list] - 1}]} {$i > 0} {incr i -1} {
        set j [randomInt [expr {$i + 1}]]
        set other [lindex $list $j]
        lset list $j [lindex $list $i]
        lset list $i $other
    }
    return $list
}

proc shuffle_list {list} {
    lshuffle $list
}

# Remove and return the first element of a list variable.
proc lpop {name} {
    upvar 1 $name list
    set list [lassign $list first]
    return $first
}

# Remove the first element equal to VALUE from a list variable.
proc lremove {name value} {
    upvar 1 $name list
    set at [lsearch -exact $list $value]
    if {$at >= 0} {
        set list [lreplace $list $at $at]
    }
}

# The first of its arguments; the second is evaluated for its effect.
proc K {x y} {
    return $x
}

# Chi-square statistic of a list of samples against the uniform distribution.
proc chi_square_value {samples} {
    set counts {}
    foreach sample $samples {
        dict incr counts $sample
    }
    set expected [expr {double([llength $samples]) / [dict size $counts]}]
    set sum 0.0
    dict for {- count} $counts {
        set sum [expr {$sum + ($count - $expected) ** 2 / $expected}]
    }
    return $sum
}

proc roundFloat {f} {
    format %.10g $f
}

proc string2printable {s} {
    return "\"[diff::printable $s]\""
}

# ---- filling a server ----

# Pipelined SETs of PREFIX0 ... PREFIX(N-1), with SIZE bytes each.
proc populate {num {prefix key:} {size 3} {level 0} {prints false} {expires 0}} {
    set client [valkey_deferring_client $level]
    set value [string repeat A $size]
    set batch [expr {max(1, min(1000, 4000000 / max(1, $size)))}]
    set pending 0
    for {set i 0} {$i < $num} {incr i} {
        if {$expires > 0} {
            $client set $prefix$i $value ex $expires
        } else {
            $client set $prefix$i $value
        }
        if {[incr pending] == $batch || $i == $num - 1} {
            for {} {$pending > 0} {incr pending -1} {
                $client read
            }
        }
        if {$prints && $i % 1000000 == 999999} {
            puts "populated [expr {$i + 1}] keys"
        }
    }
    $client close
}

# A key of this type among 20 random ones; empty when none was met.
proc findKeyWithType {client type} {
    for {set i 0} {$i < 20} {incr i} {
        set key [{*}$client randomkey]
        if {$key eq "" || [{*}$client type $key] eq $type} {
            return $key
        }
    }
    return ""
}

# OPS random writes over all types. OPTIONS: `useexpire` also sets expiry times,
# `usetag` puts all keys under one hash tag, `usehexpire` is accepted.
proc createComplexDataset {client ops {options {}}} {
    set streams [expr {"nostreams" ni $options && [llength [lindex [{*}$client command info xadd] 0]] > 0}]
    for {set op 0} {$op < $ops} {incr op} {
        set key [randomKey]
        set other [randomKey]
        if {"usetag" in $options} {
            set key "{t}$key"
            set other "{t}$other"
        }
        set value [randomValue]
        set member [randomValue]
        set score [randpath {expr {double([randomSignedInt 1000]) / 7}} {randomSignedInt 100000}]
        if {"useexpire" in $options && rand() < 0.1} {
            {*}$client expire [randomKey] [randomInt 60]
        }
        if {[{*}$client type $key] eq "none"} {
            randpath {
                {*}$client set $key $value
            } {
                {*}$client lpush $key $value
            } {
                {*}$client sadd $key $value
            } {
                {*}$client zadd $key $score $member
            } {
                {*}$client hset $key $member $value
            } {
                {*}$client del $key
            } {
                # Streams only where the server has them.
                if {$streams} {{*}$client xadd $key * $member $value}
            }
        }
        switch -- [{*}$client type $key] {
            string {
                randpath {{*}$client append $key $member} {{*}$client setrange $key [randomInt 300] $value}
            }
            list {
                randpath {
                    {*}$client lpush $key $value
                } {
                    {*}$client rpush $key $value $member
                } {
                    {*}$client lrem $key 0 $value
                } {
                    {*}$client rpop $key
                }
            }
            set {
                randpath {
                    {*}$client sadd $key $value $member
                } {
                    {*}$client srem $key $value
                } {
                    set set [findKeyWithType $client set]
                    if {$set ne "" && "usetag" ni $options} {
                        randpath {
                            {*}$client sunionstore $set $key $other-none
                        } {
                            {*}$client sinterstore $set $key $set
                        } {
                            {*}$client sdiffstore $set $key $set
                        }
                    }
                }
            }
            zset {
                randpath {
                    {*}$client zadd $key $score $value
                } {
                    {*}$client zrem $key $member
                } {
                    {*}$client zincrby $key 3 $member
                }
            }
            hash {
                randpath {{*}$client hset $key $value $member} {{*}$client hdel $key $member}
            }
            stream {
                {*}$client xadd $key * $member $value
                randpath {
                    {*}$client xtrim $key maxlen [randomInt 20]
                } {
                    {*}$client xdel $key [lindex [{*}$client xrange $key - + count 1] 0 0]
                } {
                    catch {{*}$client xgroup create $key readers 0}
                    {*}$client xreadgroup group readers [randpath {concat alice} {concat bob}] count 2 streams $key >
                } {
                    {*}$client xadd $key maxlen ~ 50 * $member $value $value $member
                }
            }
        }
    }
}

# ---- text forms ----

# All databases as text, sorted, one key a line: equal texts mean equal data.
proc csvdump {client} {
    set text ""
    set last [expr {$::singledb ? 1 : 16}]
    for {set db 0} {$db < $last} {incr db} {
        if {!$::singledb} {
            {*}$client select $db
        }
        foreach key [lsort [{*}$client keys *]] {
            set type [{*}$client type $key]
            append text [csvstring $db] , [csvstring $key] , [csvstring $type]
            switch -- $type {
                string { set items [list [{*}$client get $key]] }
                list { set items [{*}$client lrange $key 0 -1] }
                set { set items [lsort [{*}$client smembers $key]] }
                zset { set items [{*}$client zrange $key 0 -1 withscores] }
                hash {
                    set items {}
                    foreach pair [lsort -index 0 [lmap {f v} [{*}$client hgetall $key] {list $f $v}]] {
                        lappend items {*}$pair
                    }
                }
                stream { set items [{*}$client xrange $key - +] }
                default { set items {} }
            }
            foreach item $items {
                append text , [csvstring $item]
            }
            append text \n
        }
    }
    if {!$::singledb} {
        {*}$client select 9
    }
    return $text
}

proc csvstring {s} {
    return "\"[diff::printable [string map {\" \\\"} $s]]\""
}

# ---- big values ----

# Write a bulk of SIZE bytes that starts with PREFIX; read the reply unless told not to.
proc write_big_bulk {size {prefix ""} {skip_read no}} {
    r write "\$$size\r\n$prefix"
    incr size -[string length $prefix]
    while {$size > 0} {
        set n [expr {min($size, 100000000)}]
        r write [string repeat x $n]
        incr size -$n
    }
    r write "\r\n"
    r flush
    if {!$skip_read} {
        return [r read]
    }
}

# Run CODE, whose reply is a big bulk, and read it in pieces; returns its length.
# With COMPARE the bytes must be what write_big_bulk wrote.
proc read_big_bulk {code {compare no} {prefix ""}} {
    r readraw 1
    set head [uplevel 1 $code]
    assert_match {$*} $head
    set length [string range $head 1 end]
    set left $length
    if {$prefix ne ""} {
        assert_equal $prefix [r rawread [string length $prefix]]
        incr left -[string length $prefix]
    }
    set pattern [string repeat x 100000000]
    while {$left > 0} {
        set n [expr {min($left, 100000000)}]
        set chunk [r rawread $n]
        if {$compare && $chunk ne [string range $pattern 0 $n-1]} {
            fail "the big bulk came back changed"
        }
        incr left -$n
    }
    assert_equal \r\n [r rawread 2]
    r readraw 0
    return $length
}

# ---- random traffic ----

# Commands that fit the type of KEY, with random arguments, for SECONDS; errors are
# expected. Returns the commands sent.
proc generate_fuzzy_traffic_on_key {key seconds} {
    set commands {
        string {{get K} {append K V} {setrange K N V} {getrange K N N} {strlen K} {setbit K P 1} {bitcount K}
            {incr K} {getdel K} {set K V} {bitpos K 1}}
        list {{lpush K V} {rpush K V V} {lpop K} {rpop K} {lrange K N N} {lindex K N} {linsert K before V V}
            {lrem K N V} {lset K N V} {ltrim K N N} {lpos K V} {llen K} {lmove K K left right} {sort K alpha}}
        set {{sadd K V V} {srem K V} {smembers K} {sismember K V} {srandmember K N} {spop K} {scard K}
            {sscan K 0} {sinter K K} {smismember K V V}}
        zset {{zadd K N V} {zrem K V} {zrange K N N} {zrangebyscore K N N} {zincrby K N V} {zrank K V}
            {zscore K V} {zpopmin K} {zpopmax K} {zcount K N N} {zremrangebyrank K N N} {zrandmember K N}
            {zscan K 0} {zrevrange K N N withscores}}
        hash {{hset K V V} {hget K V} {hdel K V} {hgetall K} {hincrby K V N} {hkeys K} {hvals K} {hlen K}
            {hstrlen K V} {hrandfield K N} {hscan K 0} {hmget K V V}}
        stream {{xadd K * V V} {xlen K} {xrange K - +} {xrevrange K + -} {xtrim K maxlen P} {xdel K P-P}
            {xinfo stream K full} {xgroup create K V $} {xread count 3 streams K 0} {xread count N streams K P-P}
            {xreadgroup group V V count 2 streams K >} {xpending K V} {xautoclaim K V V 0 0-0}}
    }
    set sent {}
    set end [expr {[clock milliseconds] + int($seconds * 1000)}]
    set type [r type $key]
    if {![dict exists $commands $type]} {
        return {}
    }
    set choices [concat [dict get $commands $type] {{dump K} {object encoding K} {type K} {expire K 1000} {persist K}}]
    while {[clock milliseconds] < $end} {
        set words [lmap word [lindex $choices [randomInt [llength $choices]]] {
            switch -- $word {
                K { set key }
                V { randomValue }
                N { randomSignedInt 50 }
                P { randomInt 50 }
                P-P { return -level 0 [randomInt 50]-[randomInt 50] }
                default { set word }
            }
        }]
        lappend sent $words
        if {[catch {r {*}$words} message] && [string match "I/O error*" $message]} {
            error $message
        }
    }
    return $sent
}
