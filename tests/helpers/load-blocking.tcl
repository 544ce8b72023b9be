# Random operations on a few lists and sorted sets, blocking ones with a short
# timeout among them: HOST PORT DB OPS SEED

source [file join [file dirname [file normalize [info script]]] common.tcl]

proc blocking_load {host port db ops seed} {
    set client [helper_client $host $port $db $seed]
    # Few keys, so that generators meet each other.
    for {set op 0} {$op < $ops} {incr op} {
        set a list_[randomInt 3]
        set b list_[randomInt 3]
        set x zset_[randomInt 3]
        set y zset_[randomInt 3]
        set value [randomValue]
        randpath {
            $client rpush $a $value
        } {
            $client lpush $a $value $op
        } {
            $client blpop $a $b 2
        } {
            $client brpop $a $b 2
        } {
            $client blmove $a $b left right 2
        } {
            $client brpoplpush $a $b 2
        } {
            $client blmpop 2 2 $a $b left count 2
        } {
            $client zadd $x [randomInt 100] $value
        } {
            $client bzpopmin $x $y 2
        } {
            $client bzpopmax $x $y 2
        } {
            $client bzmpop 2 2 $x $y min count 2
        } {
            $client zadd $y [randomInt 100] $op
        }
    }
}

helper_main {blocking_load {*}$argv}
