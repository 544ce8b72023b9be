# ACL: users and their rules, who may do what and where that is asked, logins, the log of refusals, and what
# becomes of connections when users change.

# Makes a user who may log in with any password, with these rules.
proc make_user {name args} {
    r acl setuser $name reset on nopass {*}$args
}

# A connection of such a user.
proc client_of {name args} {
    make_user $name {*}$args
    set client [valkey_client]
    $client auth $name any
    return $client
}

# What ACL LIST shows of a user behind its name.
proc shown {name} {
    foreach line [r acl list] {
        if {[lindex [split $line] 1] eq $name} {
            return [string range $line [string length "user $name "] end]
        }
    }
}

start_server {tags {"acl external:skip"}} {
    test {ACL LIST, USERS and WHOAMI know the default user} {
        assert_equal default [r acl whoami]
        assert {"default" in [r acl users]}
        assert_equal "on nopass sanitize-payload ~* &* +@all" [shown default]
    }

    test {a new user is off and may do nothing} {
        r acl deluser new
        assert_equal OK [r acl setuser new]
        assert_equal "off sanitize-payload resetchannels -@all" [shown new]
    }

    test {users are sorted by name} {
        r acl setuser zz
        r acl setuser AA
        r acl setuser mm
        set names [r acl users]
        assert_equal $names [lsort $names]
        r acl deluser zz AA mm
    }

    test {rules are shown in their order, without those that later ones make idle} {
        foreach {rules wanted} {
            {+get -get} {-@all -get}
            {-get +get} {-@all +get}
            {+config|get +config} {-@all +config}
            {+config -config|set} {-@all +config -config|set}
            {+client -client|kill -client|list +client|kill} {-@all +client -client|list +client|kill}
            {+@all -get -@read +get} {+@all -@read +get}
            {+@read +set -@all} {-@all}
            {allcommands} {+@all}
            {nocommands} {-@all}
        } {
            r acl setuser shown reset {*}$rules
            assert_equal "off sanitize-payload resetchannels $wanted" [shown shown]
        }
    }

    test {key and channel patterns are shown} {
        r acl setuser shown reset ~a* %R~b %W~c %RW~d &x* &y
        assert_equal "off sanitize-payload ~a* %R~b %W~c ~d resetchannels &x* &y -@all" [shown shown]
        r acl setuser shown %R~c
        assert_match {*~a\* %R~b ~c ~d resetchannels*} [shown shown]
        r acl setuser shown allkeys allchannels
        assert_equal "off sanitize-payload ~* &* -@all" [shown shown]
        r acl setuser shown resetkeys resetchannels
        assert_equal "off sanitize-payload resetchannels -@all" [shown shown]
    }

    test {selectors are shown, also when they come in pieces} {
        r acl setuser shown reset (+get ~a) (+set "~b" "&c" -get)
        assert_equal "off sanitize-payload resetchannels -@all (~a resetchannels -@all +get) (~b resetchannels &c -@all +set -get)" [shown shown]
        r acl setuser shown clearselectors
        assert_equal "off sanitize-payload resetchannels -@all" [shown shown]
    }

    test {a line that is shown can be given again} {
        r acl setuser one reset on >secret ~a %R~b* &c +@read -get +config|get (+set ~d) (%W~e +@all)
        r acl setuser two {*}[split [shown one]]
        assert_equal [shown one] [shown two]
        r acl deluser one two
    }

    test {passwords come and go} {
        set hash 2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b
        r acl setuser pass reset on >secret
        assert_equal "on sanitize-payload #$hash resetchannels -@all" [shown pass]
        r acl setuser pass >other
        r acl setuser pass <secret
        assert_no_match "*$hash*" [shown pass]
        r acl setuser pass "#$hash"
        assert_match "*$hash*" [shown pass]
        r acl setuser pass "!$hash" nopass
        assert_match {on nopass sanitize-payload resetchannels*} [shown pass]
        r acl setuser pass resetpass
        assert_match {on sanitize-payload resetchannels*} [shown pass]
    }

    test {rules that are none are refused, and nothing changes} {
        r acl setuser same reset +get ~a
        set before [shown same]
        foreach {rules error} {
            {+nosuch} {ERR Error in ACL SETUSER modifier '+nosuch': Unknown command or category name in ACL}
            {+@nosuch} {ERR Error in ACL SETUSER modifier '+@nosuch': Unknown command or category name in ACL}
            {+config|nosuch} {ERR Error in ACL SETUSER modifier '+config|nosuch': Unknown command*}
            {-select|0} {ERR Error in ACL SETUSER modifier '-select|0': Unknown command*}
            {+config|get|x} {ERR * '+config|get|x': Allowing first-arg of a subcommand is not supported}
            {nonsense} {ERR Error in ACL SETUSER modifier 'nonsense': Syntax error}
            {%X~a} {ERR Error in ACL SETUSER modifier '%X~a': Syntax error}
            {(on)} {ERR Error in ACL SETUSER modifier '(on)': Syntax error}
            {(+get} {ERR Unmatched parenthesis in acl selector starting at '(+get'.}
            {~* ~b} {ERR * '~b': Adding a pattern after the \* pattern*'resetkeys'*}
            {&* &b} {ERR * '&b': Adding a pattern after the \* pattern*'resetchannels'*}
            {<nosuch} {ERR * '<nosuch': The password you are trying to remove from the user does not exist}
            {#abc} {ERR * '#abc': The password hash must be exactly 64 characters*}
        } {
            assert_error $error {r acl setuser same -get {*}$rules}
            assert_equal $before [shown same]
        }
        assert_error {ERR Usernames can't contain spaces or null characters} {r acl setuser "a b" on}
    }

    test {patterns that permit nothing are refused} {
        # The reference takes them, and ends when they are shown.
        foreach rule {% %R {("abc)}} {
            assert_error {ERR Error in ACL SETUSER modifier * Syntax error} {r acl setuser bad $rule}
        }
    } {} {peer:skip}

    test {ACL GETUSER in both protocols} {
        r acl setuser got reset on >x ~a &c +get (+set ~b)
        set digest 2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881
        foreach protocol {2 3} {
            r hello $protocol
            set user [r acl getuser got]
            assert_equal {channels commands flags keys passwords selectors} [lsort [dict keys $user]]
            assert_equal {on sanitize-payload} [lsort [dict get $user flags]]
            assert_equal $digest [dict get $user passwords]
            assert_equal "-@all +get" [dict get $user commands]
            assert_equal ~a [dict get $user keys]
            assert_equal &c [dict get $user channels]
            set selector [lindex [dict get $user selectors] 0]
            assert_equal {commands {-@all +set} keys ~b channels {}} $selector
            assert_equal {} [r acl getuser nosuch]
        }
        r hello 2
    }

    test {the replies of ACL GETUSER have their types} {
        make_user typed +get
        set channel [wire_open [srv host] [srv port]]
        wire_send $channel ACL GETUSER typed
        assert_equal *12 [wire_reply $channel]
        wire_close_all
        set channel [wire_open [srv host] [srv port]]
        wire_send $channel HELLO 3
        wire_send $channel ACL GETUSER nosuch
        wire_send $channel ACL GETUSER typed
        while {[wire_line $channel] ne "_"} {}
        assert_equal %6 [wire_line $channel]
        wire_line $channel
        wire_line $channel
        assert_equal ~3 [wire_line $channel]
        wire_close_all
    }

    test {ACL DELUSER counts, and spares the default user} {
        r acl setuser a
        r acl setuser b
        assert_error {ERR The 'default' user cannot be removed} {r acl deluser a default}
        assert_equal 2 [r acl deluser a nosuch b]
        assert_equal 0 [r acl deluser a]
    }

    test {ACL CAT lists categories and what they hold} {
        assert_equal {keyspace read write set sortedset list hash string bitmap hyperloglog geo stream pubsub admin fast slow blocking dangerous connection transaction scripting} [r acl cat]
        assert {"get" in [r acl cat read]}
        assert {"set" ni [r acl cat read]}
        assert_error {ERR Unknown category 'nosuch'} {r acl cat nosuch}
        assert_error {ERR unknown subcommand or wrong number of arguments for 'cat'. Try ACL HELP.} {r acl cat a b}
    }

    test {ACL GENPASS makes passwords of the size that is asked for} {
        assert_match {[0-9a-f]*} [r acl genpass]
        assert_equal 64 [string length [r acl genpass]]
        assert_equal 2 [string length [r acl genpass 5]]
        assert_equal 1024 [string length [r acl genpass 4096]]
        assert_not_equal [r acl genpass] [r acl genpass]
        foreach bits {0 -5 4097} {
            assert_error {ERR ACL GENPASS argument must be the number of bits*} {r acl genpass $bits}
        }
        assert_error {ERR value is not an integer or out of range} {r acl genpass many}
    }

    test {ACL HELP names every subcommand of the reference} {
        set help [r acl help]
        foreach word {CAT DELUSER DRYRUN GETUSER GENPASS LIST LOAD LOG SAVE SETUSER USERS WHOAMI} {
            assert {[lsearch -glob $help "$word*"] >= 0}
        }
    }

    test {ACL subcommands that are none} {
        assert_error {ERR unknown subcommand 'nosuch'. Try ACL HELP.} {r acl nosuch}
        assert_error {ERR wrong number of arguments for 'acl|setuser' command} {r acl setuser}
        assert_error {ERR wrong number of arguments for 'acl|whoami' command} {r acl whoami x}
    }

    test {ACL SAVE and LOAD want a file} {
        assert_error {ERR This instance is not configured to use an ACL file*} {r acl save}
        assert_error {ERR This instance is not configured to use an ACL file*} {r acl load}
    }

    test {ACL DRYRUN says what would be missing, and that is no error} {
        make_user dry +@read +publish ~a* %W~w &c
        foreach {line wanted} {
            {get a1} OK
            {get b} {User dry has no permissions to access the 'b' key}
            {get w} {User dry has no permissions to access the 'w' key}
            {set a 1} {User dry has no permissions to run the 'set' command}
            {config get x} {User dry has no permissions to run the 'config|get' command}
            {publish c x} OK
            {publish d x} {User dry has no permissions to access the 'd' channel}
            {mget a1 a2 x} {User dry has no permissions to access the 'x' key}
        } {
            assert_equal $wanted [r acl dryrun dry {*}$line] $line
        }
        assert_error {ERR User 'nosuch' not found} {r acl dryrun nosuch get a}
        assert_error {ERR Command 'nosuch' not found} {r acl dryrun dry nosuch}
        assert_error {ERR wrong number of arguments for 'get' command} {r acl dryrun dry get}
    }

    test {ACL DRYRUN knows what commands do to their keys} {
        make_user dry +@all %R~r %W~w ~rw
        foreach {line may} {
            {get r} 1 {get w} 0 {set r x} 0 {set w x} 1 {set w x get} 0 {set rw x get} 1
            {exists r} 1 {exists w} 1 {exists other} 0 {strlen w} 1 {touch w} 1 {type w} 1
            {append w x} 1 {incr r} 0 {incr rw} 1 {del w} 1 {del r} 0
            {copy r w} 1 {copy w r} 0 {bitfield r get u8 0} 1 {bitfield r set u8 0 1} 0
            {sort r store w} 1 {sort w store w} 0 {rename r w} 0 {lmove rw w left left} 1
            {xreadgroup group g c streams r >} 1 {georadius r 0 0 1 km store w} 1 {georadius r 0 0 1 km store r} 0
        } {
            assert_equal $may [expr {[r acl dryrun dry {*}$line] eq "OK"}] $line
        }
    }

    test {keys are found where the command finds them} {
        # The reference takes the first word behind STORE, and a consumer that is called STREAMS for an option.
        make_user dry +@all ~mine ~streams
        foreach line {
            {georadius mine 0 0 1 km store mine store other}
            {xreadgroup noack group g streams streams other >}
        } {
            assert_match {User dry has no permissions to access the 'other' key} [r acl dryrun dry {*}$line]
        }
    } {} {peer:skip}

    test {ACL WHY names the rules that decide} {
        make_user asked +@read ~a (+set ~b)
        assert_equal {{allowed by the root selector} {the root selector: allows the command 'get' by +@read; allows reading the key 'a' by ~a}} [r acl why asked get a]
        assert_equal "refused by every selector" [lindex [r acl why asked set c x] 0]
        assert_equal {allowed by selector 1} [lindex [r acl why asked set b x] 0]
        assert_error {ERR User 'nosuch' not found} {r acl why nosuch get a}
        assert_error {ERR Command 'nosuch' not found} {r acl why asked nosuch}
        assert {"acl|why" ni [r command list]}
    } {} {peer:skip}
}

start_server {tags {"acl external:skip"}} {
    test {commands, keys and channels are asked for} {
        set c [client_of limited +get +set +publish +subscribe ~a* &c*]
        assert_equal OK [$c set a1 x]
        assert_equal x [$c get a1]
        assert_error {NOPERM No permissions to access a key} {$c get b}
        assert_error {NOPERM User limited has no permissions to run the 'del' command} {$c del a1}
        assert_error {NOPERM User limited has no permissions to run the 'config|get' command} {$c config get maxmemory}
        assert_equal 0 [$c publish c1 x]
        assert_error {NOPERM No permissions to access a channel} {$c publish d x}
        assert_error {NOPERM No permissions to access a channel} {$c subscribe c1 d}
        $c close
    }

    test {selectors do not add up} {
        set c [client_of parts (+get ~a) (+set ~b)]
        assert_equal {} [$c get a]
        assert_equal OK [$c set b x]
        assert_error {NOPERM No permissions to access a key} {$c set a x}
        assert_error {NOPERM No permissions to access a key} {$c get b}
        $c close
    }

    test {a pattern is subscribed to only as it was granted} {
        set c [client_of listener +@pubsub &a*]
        assert_error {NOPERM No permissions to access a channel} {$c psubscribe ab*}
        assert_error {NOPERM No permissions to access a channel} {$c psubscribe a}
        assert_error {NOPERM No permissions to access a channel} {$c ssubscribe b}
        assert_equal {psubscribe a* 1} [$c psubscribe a*]
        $c close
    }

    test {a subcommand may be granted, and the others not} {
        set c [client_of sub +config|get +client -client|kill]
        assert_match {maxmemory*} [$c config get maxmemory]
        assert_error {NOPERM User sub has no permissions to run the 'config|set' command} {$c config set maxmemory 0}
        assert_match {*user=sub *} [$c client info]
        assert_error {NOPERM User sub has no permissions to run the 'client|kill' command} {$c client kill id 1}
        $c close
    }

    test {a first argument may be granted} {
        set mark [log_mark]
        set c [client_of first +select|0]
        wait_for_log $mark {*Deprecation warning: Allowing a first arg*(offender: +select|0)*}
        assert_equal OK [$c select 0]
        assert_error {NOPERM User first has no permissions to run the 'select' command} {$c select 1}
        assert_error {NOPERM*} {$c select 00}
        $c close
    } {} {singledb:skip}

    test {what everybody may do needs no right} {
        set c [client_of nothing]
        assert_equal OK [$c auth nothing x]
        assert_match {*server*} [$c hello 2 auth nothing x]
        assert_error {NOPERM*} {$c ping}
        assert_equal RESET [$c reset]
        assert_equal PONG [$c ping]
        assert_equal OK [$c quit]
        $c close
    }

    test {errors come in the order of the reference} {
        set c [client_of order +multi +exec]
        assert_error {ERR unknown command 'nosuch'*} {$c nosuch}
        assert_error {ERR wrong number of arguments for 'get' command} {$c get}
        assert_error {NOPERM*} {$c get k}
        $c multi
        assert_error {ERR Command not allowed inside a transaction} {$c watch k}
        assert_error {EXECABORT*} {$c exec}
        $c close
    }

    test {rights are asked for before memory} {
        set c [client_of order]
        r config set maxmemory 1
        catch {$c set k v} error
        r config set maxmemory 0
        assert_match {NOPERM*} $error
        $c close
    } {} {needs:config-maxmemory}

    test {what is refused while queueing aborts the transaction} {
        set c [client_of queue +multi +exec +get ~a]
        $c multi
        assert_equal QUEUED [$c get a]
        assert_error {NOPERM No permissions to access a key} {$c get b}
        assert_error {EXECABORT Transaction discarded because of previous errors.} {$c exec}
        $c close
    }

    test {what is refused at EXEC leaves the other commands alone} {
        make_user queue +multi +exec +get +set ~a ~b
        set channel [wire_open [srv host] [srv port]]
        foreach line {{AUTH queue x} MULTI {GET a} {SET b x} {GET b}} wanted {+OK +OK +QUEUED +QUEUED +QUEUED} {
            wire_send $channel {*}$line
            assert_equal $wanted [wire_reply $channel]
        }
        r acl setuser queue -set resetkeys ~a
        wire_send $channel EXEC
        set start "-NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is no longer allowed for the following reason:"
        assert_equal *3 [wire_line $channel]
        assert_equal {$-1} [wire_line $channel]
        assert_equal "$start no permission to execute the command or subcommand" [wire_line $channel]
        assert_equal "$start no permission to touch the specified keys" [wire_line $channel]
        # Nothing was set.
        wire_send $channel RESET
        wire_send $channel EXISTS b
        assert_equal +RESET [wire_reply $channel]
        assert_equal :0 [wire_reply $channel]
        wire_close_all
    }

    test {a channel that is refused at EXEC} {
        make_user queue +multi +exec +publish &a
        set channel [wire_open [srv host] [srv port]]
        foreach line {{AUTH queue x} MULTI {PUBLISH a x}} {
            wire_send $channel {*}$line
            wire_reply $channel
        }
        r acl setuser queue resetchannels
        wire_send $channel EXEC
        assert_equal *1 [wire_line $channel]
        assert_match {*: no permission to access one of the channels used as arguments} [wire_line $channel]
        wire_close_all
    }

    test {EXEC needs a right of its own} {
        set c [client_of queue +multi +get ~*]
        $c multi
        $c get a
        assert_error {EXECABORT Transaction discarded because of: NOPERM*'exec'*} {$c exec}
        $c close
    }

    test {AUTH inside of a transaction changes who carries it out} {
        make_user weak +multi +exec
        make_user strong +@all ~*
        set channel [wire_open [srv host] [srv port]]
        foreach line {{AUTH strong x} MULTI {ECHO v} {AUTH weak x} {ECHO v} EXEC} {
            wire_send $channel {*}$line
        }
        foreach wanted {+OK +OK +QUEUED +QUEUED +QUEUED *3} {
            assert_equal $wanted [wire_line $channel]
        }
        assert_equal {$1} [wire_line $channel]
        assert_equal v [wire_line $channel]
        assert_equal +OK [wire_line $channel]
        assert_match {-NOPERM ACLs rules changed*} [wire_line $channel]
        wire_close_all
    }

    test {who waits for a key is asked again: the key} {
        r del a
        make_user waiter +blpop ~a
        set c [valkey_deferring_client]
        $c auth waiter x
        $c read
        $c blpop a 0
        wait_for_blocked_client
        r config resetstat
        r acl setuser waiter resetkeys
        r rpush a x
        assert_error {NOPERM No permissions to access a key} {$c read}
        assert_equal 1 [r llen a]
        assert_match {*calls=0,*rejected_calls=1*} [cmdrstat blpop r]
        $c close
    } {} {needs:config-resetstat}

    test {who waits for a key is asked again: the command} {
        r del a
        make_user waiter +bzpopmin ~a
        set c [valkey_deferring_client]
        $c auth waiter x
        $c read
        $c bzpopmin a 0
        wait_for_blocked_client
        r acl setuser waiter -@all
        r zadd a 1 x
        assert_error {NOPERM User waiter has no permissions to run the 'bzpopmin' command} {$c read}
        assert_equal 1 [r zcard a]
        $c close
    }

    test {who waits for a key and is removed is closed} {
        r del a
        make_user waiter +blpop ~a
        set c [valkey_deferring_client]
        $c auth waiter x
        $c read
        $c blpop a 0
        wait_for_blocked_client
        assert_equal 1 [r acl deluser waiter]
        assert_error {*} {$c read}
        $c close
        wait_for_blocked_clients_count 0
        r rpush a x
        assert_equal 1 [r llen a]
    }

    test {patterns of SORT need the right to read every key} {
        r del a
        r rpush a 1 2
        foreach {rules may} {
            {+sort ~*} 1 {+sort %R~*} 1 {+sort ~a} 0 {+sort %W~* ~a} 0 {+sort ~a (+sort %R~*)} 1 {+sort ~a (+get %R~*)} 0
        } {
            set c [client_of sorter {*}$rules +sort_ro]
            if {$may} {
                assert_equal {1 2} [$c sort a by w_*]
                assert_equal {1 2} [$c sort a get #]
            } else {
                assert_error {ERR BY option of SORT denied due to insufficient ACL permissions.} {$c sort a by w_*}
                assert_error {ERR GET option of SORT denied due to insufficient ACL permissions.} {$c sort a get #}
                assert_error {ERR BY option of SORT denied*} {$c sort_ro a by w_*}
            }
            if {[string match *~* $rules] && ![string match %R* [lindex $rules 1]]} {
                assert_equal 2 [llength [$c sort a by nosort]]
            }
            $c close
        }
    } {} {cluster:skip}

    test {the patterns of SORT are judged when it runs} {
        r del a
        make_user sorter +@all ~a
        set channel [wire_open [srv host] [srv port]]
        foreach line {{AUTH sorter x} MULTI {SORT a BY w_*} EXEC} {
            wire_send $channel {*}$line
        }
        foreach wanted {+OK +OK +QUEUED *1} {
            assert_equal $wanted [wire_line $channel]
        }
        assert_match {-ERR BY option of SORT denied*} [wire_line $channel]
        wire_close_all
    } {} {cluster:skip}

    test {a renewed right counts at once} {
        set c [client_of renewed]
        r del k
        assert_error {NOPERM*} {$c get k}
        r acl setuser renewed +get ~*
        assert_equal {} [$c get k]
        r acl setuser renewed off
        assert_equal {} [$c get k]
        assert_error {WRONGPASS*} {$c auth renewed x}
        $c close
    }

    test {the command of a refusal is counted as rejected, its error by its code} {
        set c [client_of counted]
        r config resetstat
        catch {$c get k}
        assert_match {*rejected_calls=1*} [cmdrstat get r]
        assert_match {*count=1*} [errorrstat NOPERM r]
        $c close
    } {} {needs:config-resetstat}

    test {users follow commands, not the names they are given} {
        assert_error {*Unknown command*} {r acl setuser renamed +nosuchname}
    }
}

start_server {tags {"acl external:skip"} config_lines {rename-command "FLUSHALL fla"}} {
    test {rules name commands as they were} {
        assert_error {*Unknown command*} {r acl setuser renamed +fla}
        set c [client_of renamed +flushall]
        assert_equal OK [$c fla]
        $c close
        set c [client_of renamed -@all]
        assert_error {NOPERM User renamed has no permissions to run the 'flushall' command} {$c fla}
        $c close
    }
}

start_server {tags {"acl external:skip"}} {
    test {a removed user's connections are closed} {
        set c [client_of gone +ping]
        set d [client_of stays +ping]
        assert_equal 1 [r acl deluser gone]
        assert_error {*} {$c ping}
        assert_equal PONG [$d ping]
        $c close
        $d close
    }

    test {who removes itself has its answer first} {
        make_user gone +@all
        set channel [wire_open [srv host] [srv port]]
        wire_send $channel AUTH gone x
        wire_send $channel ACL DELUSER gone
        assert_equal +OK [wire_reply $channel]
        assert_equal :1 [wire_reply $channel]
        assert [wire_closed $channel]
        wire_close_all
    }

    test {losing a channel closes those that listen to it} {
        set kept [client_of listener +@pubsub +ping &a &b* &c]
        set name [valkey_client]
        $name auth listener x
        set pattern [valkey_client]
        $pattern auth listener x
        set shard [valkey_client]
        $shard auth listener x
        $kept subscribe a
        $name subscribe b1
        $pattern psubscribe b*
        $shard ssubscribe c
        r acl setuser listener resetchannels &a
        foreach c [list $name $pattern $shard] {
            assert_error {*} {$c ping}
            $c close
        }
        assert_match {pong*} [$kept ping]
        $kept close
    }

    test {keeping all channels closes nobody} {
        set c [client_of listener +@pubsub +ping &a]
        $c subscribe a
        r acl setuser listener &b
        assert_match {pong*} [$c ping]
        r acl setuser listener allchannels
        assert_match {pong*} [$c ping]
        r acl setuser listener resetchannels (&a)
        assert_match {pong*} [$c ping]
        $c close
    }

    test {who takes a channel from itself has its answer first} {
        # The reference ends.
        make_user listener +@all &a
        set channel [wire_open [srv host] [srv port]]
        wire_send $channel HELLO 3 AUTH listener x
        wire_send $channel SUBSCRIBE a
        wire_send $channel ACL SETUSER listener resetchannels
        while {[wire_line $channel] ne "+OK"} {}
        assert [wire_closed $channel]
        wire_close_all
        assert_equal PONG [r ping]
    } {} {peer:skip}

    test {CLIENT LIST and KILL know users} {
        set c [client_of somebody +ping]
        assert_match {*user=somebody *} [r client list]
        assert_match {*user=default *} [r client info]
        assert_error {ERR No such user 'nosuch'} {r client kill user nosuch}
        assert_equal 1 [r client kill user somebody]
        assert_error {*} {$c ping}
        assert_no_match {*user=somebody *} [r client list]
        assert_equal 0 [r client kill user somebody]
        $c close
    }

    test {channels of new users are a parameter} {
        r config set acl-pubsub-default allchannels
        r acl setuser free reset
        assert_equal "off sanitize-payload &* -@all" [shown free]
        r acl setuser free (+get)
        assert_match {* (&\* -@all +get)} [shown free]
        r config set acl-pubsub-default resetchannels
        assert_match {*&\* -@all*} [shown free]
        r acl setuser free reset
        assert_equal "off sanitize-payload resetchannels -@all" [shown free]
    }
}

start_server {tags {"acl external:skip"}} {
    test {a login wants the right name, password and state} {
        r acl setuser login reset on >one >two
        r acl setuser closed reset off nopass
        set c [valkey_client]
        assert_equal OK [$c auth login one]
        assert_equal OK [$c auth login two]
        foreach {name password} {login three login "" closed x nosuch x LOGIN one} {
            assert_error {WRONGPASS invalid username-password pair or user is disabled.} {$c auth $name $password}
        }
        r acl setuser login +acl|whoami
        assert_equal login [$c acl whoami]
        $c close
    }

    test {a refused login leaves the connection as it was} {
        r acl setuser login reset on >one +acl|whoami
        set c [valkey_client]
        $c auth login one
        catch {$c auth default-not x}
        catch {$c hello 3 auth login wrong}
        assert_equal login [$c acl whoami]
        $c close
    }

    test {HELLO takes the last of several logins} {
        r acl setuser login reset on >one +acl|whoami
        set c [valkey_client]
        $c hello 2 auth nosuch x auth login one
        assert_equal login [$c acl whoami]
        $c close
    }

    test {a refused login is answered behind other commands, too} {
        # The reference says nothing there.
        set channel [wire_open [srv host] [srv port]]
        wire_raw $channel "PING\r\nAUTH nosuch x\r\nECHO x\r\nMULTI\r\nAUTH nosuch x\r\nEXEC\r\n"
        assert_equal +PONG [wire_line $channel]
        assert_match -WRONGPASS* [wire_line $channel]
        assert_equal {$1} [wire_line $channel]
        assert_equal x [wire_line $channel]
        foreach wanted {+OK +QUEUED *1 -WRONGPASS*} {
            assert_match $wanted [wire_line $channel]
        }
        wire_close_all
    } {} {peer:skip}

    test {RESET makes a default connection again} {
        set c [client_of somebody +@all]
        $c hello 3
        $c reset
        assert_equal default [$c acl whoami]
        assert_match {*resp=2*} [$c client info]
        $c close
    }

    test {without the default user there has to be a login} {
        r acl setuser admin reset on >x +@all ~* &*
        r acl setuser default off
        set c [valkey_client]
        assert_error {NOAUTH Authentication required.} {$c ping}
        assert_error {NOAUTH HELLO must be called*} {$c hello 3}
        assert_match {*server*} [$c hello 3 auth admin x]
        assert_equal PONG [$c ping]
        # Who was in stays in.
        assert_equal PONG [r ping]
        r acl setuser default on
        $c close
    }

    test {requirepass is the default user's password} {
        r config set requirepass foo
        assert_match {on sanitize-payload #2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae ~\* &\* +@all} [shown default]
        set c [valkey_client]
        assert_error {NOAUTH*} {$c ping}
        assert_equal OK [$c auth foo]
        r config set requirepass ""
        assert_match {on nopass*} [shown default]
        $c close
    }

    test {requirepass says what was set there last} {
        r config set requirepass foo
        r acl setuser default nopass
        assert_equal {requirepass foo} [r config get requirepass]
        set c [valkey_client]
        assert_equal PONG [$c ping]
        $c close
        r config set requirepass ""
    }

    test {HELLO asks for a login only if other commands do} {
        # The reference asks who was there before, too.
        r config set requirepass foo
        set c [valkey_client]
        assert_error {NOAUTH*} {$c ping}
        r config set requirepass ""
        assert_match {*server*} [$c hello 3]
        $c close
    } {} {peer:skip}

    test {a connection that was shut out is let in when no password is needed} {
        r config set requirepass foo
        set c [valkey_client]
        assert_error {NOAUTH*} {$c ping}
        r config set requirepass ""
        assert_equal PONG [$c ping]
        r config set requirepass foo
        assert_error {NOAUTH*} {$c ping}
        r config set requirepass ""
        $c close
    }
}

start_server {tags {"acl external:skip"}} {
    test {ACL LOG tells what was refused, where and to whom} {
        r acl log reset
        set c [client_of logged +get +publish +multi ~a &a]
        catch {$c set a x}
        catch {$c get b}
        catch {$c publish b x}
        catch {$c AUTH nosuch x}
        set wanted {auth AUTH nosuch channel b logged key b logged command set logged}
        set found {}
        foreach entry [r acl log] {
            lappend found {*}[lmap field {reason object username} {dict get $entry $field}]
            assert_equal toplevel [dict get $entry context]
            assert_equal 1 [dict get $entry count]
            assert_match {*user=logged *} [dict get $entry client-info]
        }
        assert_equal $wanted $found
        $c close
    }

    test {ACL LOG has a context for transactions} {
        r acl log reset
        set c [client_of logged +multi +exec +get ~a]
        $c multi
        catch {$c get b}
        catch {$c exec}
        assert_equal multi [dict get [lindex [r acl log] 0] context]
        $c multi
        $c get a
        r acl log reset
        r acl setuser logged resetkeys
        catch {$c exec}
        set entry [lindex [r acl log] 0]
        assert_equal {multi key a} [lmap field {context reason object} {dict get $entry $field}]
        $c close
    }

    test {ACL LOG joins what is equal} {
        r acl log reset
        set c [client_of logged]
        catch {$c get a}
        set id [dict get [lindex [r acl log] 0] entry-id]
        catch {$c set a x}
        catch {$c get b}
        assert_equal 2 [llength [r acl log]]
        set entry [lindex [r acl log] 0]
        assert_equal [list get 2 $id] [lmap field {object count entry-id} {dict get $entry $field}]
        assert {[dict get $entry timestamp-last-updated] >= [dict get $entry timestamp-created]}
        $c close
    }

    test {ACL LOG shows as many as are asked for} {
        r acl log reset
        set c [client_of logged]
        foreach command {get ttl type exists strlen llen scard hlen zcard xlen dump persist} {
            catch {$c $command k}
        }
        assert_equal 10 [llength [r acl log]]
        assert_equal 12 [llength [r acl log 100]]
        assert_equal 3 [llength [r acl log 3]]
        assert_equal {} [r acl log -1]
        assert_error {ERR value is not an integer or out of range} {r acl log many}
        assert_equal OK [r acl log reset]
        assert_equal {} [r acl log]
        $c close
    }

    test {ACL LOG keeps acllog-max-len entries} {
        r acl log reset
        set c [client_of logged]
        r config set acllog-max-len 2
        foreach command {get ttl type} {
            catch {$c $command k}
        }
        assert_equal {type ttl} [lmap entry [r acl log] {dict get $entry object}]
        r config set acllog-max-len 0
        catch {$c get k}
        assert_equal {} [r acl log]
        r config set acllog-max-len 128
        $c close
    }

    test {INFO counts refusals, and goes on counting} {
        set c [client_of logged +get +publish ~a &a]
        array unset denied
        foreach kind {auth cmd key channel} {
            set denied($kind) [s acl_access_denied_$kind]
        }
        catch {$c set a x}
        catch {$c get b}
        catch {$c get b}
        catch {$c publish b x}
        catch {$c auth logged}
        r config set acllog-max-len 0
        catch {$c auth nosuch x}
        r config set acllog-max-len 128
        r config resetstat
        foreach {kind more} {auth 1 cmd 1 key 2 channel 1} {
            assert_equal $more [expr {[s acl_access_denied_$kind] - $denied($kind)}] $kind
        }
        $c close
    } {} {needs:config-resetstat}

    test {DRYRUN is no refusal} {
        r acl log reset
        make_user logged
        r acl dryrun logged get a
        assert_equal {} [r acl log]
    }
}

start_server {tags {"acl external:skip"}} {
    test {secrets are hidden from the slow log} {
        r config set slowlog-log-slower-than 0
        r slowlog reset
        r acl setuser hidden reset on >secret
        r acl getuser hidden
        r acl deluser hidden nosuch
        catch {r auth hidden secret}
        catch {r hello 2 setname auth auth hidden secret}
        r config set requirepass secret
        r config set requirepass ""
        set log [r slowlog get -1]
        r config set slowlog-log-slower-than -1
        assert_no_match *secret* $log
        assert_match {*{acl setuser (redacted) (redacted) (redacted) (redacted)}*} $log
        assert_match {*{acl getuser (redacted)}*} $log
        assert_match {*{acl deluser (redacted) (redacted)}*} $log
        assert_match {*{auth (redacted) (redacted)}*} $log
        assert_match {*{hello 2 setname auth auth (redacted) (redacted)}*} $log
    }

    test {secrets are hidden from MONITOR} {
        r acl setuser hidden reset on >secret +ping
        set monitor [valkey_deferring_client]
        $monitor monitor
        $monitor read
        set c [valkey [srv host] [srv port]]
        $c auth hidden secret
        $c hello 2 auth hidden secret setname me
        $c ping
        assert_match {*"auth" "(redacted)" "(redacted)"} [$monitor read]
        assert_match {*"hello" "2" "auth" "(redacted)" "(redacted)" "setname" "me"} [$monitor read]
        assert_match {*"ping"} [$monitor read]
        $c close
        $monitor close
    }
}

start_server {tags {"acl external:skip needs:repl"} overrides {repl-diskless-sync-delay 0}} {
    start_server {} {
        test {a replica needs a user with few rights} {
            r -1 acl setuser replicator reset on >word +psync +replconf +ping
            r -1 config set requirepass secret
            r config set primaryuser replicator
            r config set primaryauth word
            r replicaof [srv -1 host] [srv -1 port]
            wait_for_sync r
            r -1 set k v
            wait_for_ofs_sync "r -1" r
            assert_equal v [r get k]
            assert_match {*user=replicator *} [r -1 client list type replica]
            r -1 config set requirepass ""
            r replicaof no one
        }

        test {a replica whose user lacks a right says which, and tries again slowly} {
            r -1 acl setuser replicator reset on >word +replconf +ping
            r config set primaryuser replicator
            r config set primaryauth word
            set mark [log_mark]
            r -1 acl log reset
            r replicaof [srv -1 host] [srv -1 port]
            wait_for_log $mark {*-NOPERM User replicator has no permissions to run the 'psync' command*}
            wait_for_log $mark {*it needs the permissions +psync +replconf +ping and, for dual channel, +sync*}
            assert_equal 1 [dict get [lindex [r -1 acl log] 0] count]
            r -1 acl setuser replicator +psync
            r replicaof no one
            r replicaof [srv -1 host] [srv -1 port]
            wait_for_sync r
            r replicaof no one
        } * {peer:skip}

        test {the link to the primary has all rights, whatever the default user has} {
            r -1 acl setuser replicator reset on >word +psync +replconf
            r config set primaryuser replicator
            r config set primaryauth word
            r replicaof [srv -1 host] [srv -1 port]
            wait_for_sync r
            r acl setuser default resetchannels -@all +acl +info +replicaof +get
            r -1 set k w
            wait_for_ofs_sync "r -1" r
            r acl setuser default allkeys allchannels +@all
            assert_equal w [r get k]
            r replicaof no one
        }
    }
}

start_server {tags {"acl external:skip"}} {
    test {RESTORE by a user whose payloads are trusted} {
        r acl setuser trusted reset on nopass skip-sanitize-payload +@all ~*
        assert_match {on nopass skip-sanitize-payload *} [shown trusted]
        r config set sanitize-dump-payload clients
        r rpush k a b
        set payload [r dump k]
        set c [valkey_client]
        $c auth trusted x
        assert_equal OK [$c restore k 0 $payload replace]
        r config set sanitize-dump-payload no
        $c close
    }
}
