# AUTH and HELLO: logging in with requirepass, what may be done before, and what is counted.

start_server {tags {"auth external:skip"}} {
    test {without a password AUTH is a mistake} {
        assert_error {ERR AUTH <password> called without any password configured*} {r auth foo}
        assert_error {WRONGPASS*} {r auth nobody foo}
        assert_equal OK [r auth default anything]
    }

    test {AUTH takes one or two arguments} {
        assert_error {ERR wrong number of arguments for 'auth' command} {r auth}
        assert_error {ERR syntax error} {r auth a b c}
    }
}

start_server {tags {"auth external:skip"}} {
    test {ACL CAT lists containers too} {
        set slow [r acl cat slow]
        foreach name {config client acl slowlog config|get} {
            assert {$name in $slow}
        }
        assert {"command" in [r acl cat connection]}
        assert {"client" ni [r acl cat connection]}
    }
}

start_server {tags {"auth external:skip"} overrides {requirepass foobar}} {
    test {everything but logging in needs a login} {
        assert_error {NOAUTH Authentication required.} {r set k v}
        assert_error {NOAUTH Authentication required.} {r ping}
        assert_error {NOAUTH Authentication required.} {r multi}
        assert_error {NOAUTH HELLO must be called*} {r hello 3}
        assert_error {ERR unknown command 'nosuch'*} {r nosuch}
    }

    test {a wrong password is refused and counted} {
        assert_error {WRONGPASS*} {r auth wrong}
        assert_error {WRONGPASS*} {r auth default wrong}
        assert_error {WRONGPASS*} {r auth other foobar}
        assert_error {WRONGPASS*} {r hello 2 auth default wrong}
        r auth foobar
        assert_equal 4 [s acl_access_denied_auth]
    }

    test {the right password opens} {
        assert_equal OK [r auth foobar]
        assert_equal OK [r set k v]
        assert_equal v [r get k]
        assert_equal default [r acl whoami]
    }

    test {HELLO logs in, names and switches at once} {
        set c [valkey_client]
        assert_error {NOAUTH*} {$c get k}
        set reply [$c hello 3 auth default foobar setname me]
        assert_equal 3 [dict get $reply proto]
        assert_equal me [$c client getname]
        $c close
    }

    test {HELLO does all that it is asked to, or nothing} {
        foreach {options error} {
            {auth default foobar setname {bad name}} {ERR Client names cannot contain*}
            {setname {bad name} auth default foobar} {ERR Client names cannot contain*}
            {setname me auth default wrong} {WRONGPASS*}
            {auth default wrong setname me} {WRONGPASS*}
            {auth default foobar setname me nonsense} {ERR Syntax error in HELLO option 'nonsense'}
        } {
            set c [valkey_client]
            assert_error $error {$c hello 3 {*}$options}
            assert_error {NOAUTH*} {$c get k}
            $c auth foobar
            assert_equal {} [$c client getname]
            assert_match {* resp=2 *} [$c client info]
            $c close
        }
        # Nor does it take from who has logged in what it had.
        set c [valkey_client]
        $c hello 3 auth default foobar setname me
        assert_error {ERR Client names*} {$c hello 2 auth default foobar setname "a b"}
        assert_error {WRONGPASS*} {$c hello 2 auth default wrong setname other}
        assert_equal me [$c client getname]
        assert_match {* resp=3 *} [$c client info]
        $c close
    }

    test {after RESET requests have to be small again} {
        set channel [wire_open [srv host] [srv port]]
        wire_send $channel AUTH foobar
        assert_equal +OK [wire_reply $channel]
        # With a login both are fine.
        wire_send $channel MGET {*}[lrepeat 20 k]
        assert_equal *20 [wire_reply $channel]
        foreach bytes [list "*100\r\n" "*1\r\n\$16385\r\n"] error {
            {-ERR Protocol error: unauthenticated multibulk length} {-ERR Protocol error: unauthenticated bulk length}
        } {
            set channel [wire_open [srv host] [srv port]]
            wire_send $channel AUTH foobar
            assert_equal +OK [wire_reply $channel]
            wire_send $channel RESET
            assert_equal +RESET [wire_reply $channel]
            wire_raw $channel $bytes
            assert_equal $error [wire_reply $channel]
            assert [wire_closed $channel]
        }
        wire_close_all
    }

    test {RESET logs out} {
        set c [valkey_client]
        $c auth foobar
        $c ping
        $c reset
        assert_error {NOAUTH*} {$c get k}
        $c close
    }

    test {before the login requests stay small} {
        set channel [wire_open [srv host] [srv port]]
        wire_raw $channel "*100\r\n"
        assert_equal {-ERR Protocol error: unauthenticated multibulk length} [wire_line $channel]
        wire_close $channel
        set channel [wire_open [srv host] [srv port]]
        wire_raw $channel "*1\r\n\$16385\r\n"
        assert_equal {-ERR Protocol error: unauthenticated bulk length} [wire_line $channel]
        wire_close $channel
    }

    test {a changed password counts for the next login, an empty one lets everybody in} {
        r auth foobar
        r set k v
        r config set requirepass second
        assert_equal v [r get k]
        set c [valkey_client]
        assert_error {WRONGPASS*} {$c auth foobar}
        assert_equal OK [$c auth second]
        $c close
        set c [valkey_client]
        assert_error {NOAUTH*} {$c ping}
        r config set requirepass ""
        assert_equal PONG [$c ping]
        $c close
        set c [valkey_client]
        assert_equal PONG [$c ping]
        $c close
    }
}

start_server {tags {"auth acl external:skip"} overrides {requirepass foobar}} {
    r auth foobar

    test {ACL LOG keeps refused logins, those of one kind together} {
        set c [valkey [srv 0 host] [srv 0 port]]
        foreach password {a b} {assert_error {WRONGPASS*} {$c auth $password}}
        assert_error {WRONGPASS*} {$c auth somebody a}
        assert_error {WRONGPASS*} {$c hello 2 auth default a}
        set log [r acl log]
        assert_equal 3 [llength $log]
        lassign $log hello other grouped
        foreach {entry count object user} [list $hello 1 hello default $other 1 auth somebody $grouped 2 auth default] {
            assert_equal $count [dict get $entry count]
            assert_equal auth [dict get $entry reason]
            assert_equal toplevel [dict get $entry context]
            assert_equal $object [dict get $entry object]
            assert_equal $user [dict get $entry username]
            assert_match {id=* cmd=* user=default *} [dict get $entry client-info]
            assert_range [dict get $entry age-seconds] 0 60
        }
        assert_morethan [dict get $hello entry-id] [dict get $other entry-id]
        assert_equal [list $hello] [lmap entry [r acl log 1] {dict replace $entry age-seconds [dict get $hello age-seconds]}]
        $c close
    }

    test {ACL LOG can be limited and emptied} {
        r config set acllog-max-len 1
        assert_error {WRONGPASS*} {r auth third x}
        assert_equal 1 [llength [r acl log]]
        assert_equal third [dict get [lindex [r acl log] 0] username]
        r config set acllog-max-len 128
        assert_equal OK [r acl log reset]
        assert_equal {} [r acl log]
        assert_error {ERR value is not an integer*} {r acl log x}
    }

    test {ACL GETUSER, LIST and DRYRUN of the default user} {
        set user [r acl getuser default]
        assert_equal {on sanitize-payload} [dict get $user flags]
        assert_equal {c3ab8ff13720e8ad9047dd39466b3c8974e592c2fa383d4a3960714caef0c4f2} [dict get $user passwords]
        assert_equal {+@all ~* &* {}} [list {*}[lmap field {commands keys channels selectors} {dict get $user $field}]]
        assert_equal {} [r acl getuser nobody]
        assert_equal OK [r acl dryrun default config get x]
        assert_error {ERR Command 'nothing' not found} {r acl dryrun default nothing}
        assert_error {ERR User 'nobody' not found} {r acl dryrun nobody get x}
        assert_error {ERR wrong number of arguments for 'get' command} {r acl dryrun default get}
        r config set requirepass ""
        assert_equal {on nopass sanitize-payload} [dict get [r acl getuser default] flags]
        assert_equal {} [dict get [r acl getuser default] passwords]
    }

    test {ACL CAT lists what there is, and nothing else} {
        set listed {}
        foreach category [r acl cat] {
            lappend listed {*}[r acl cat $category]
        }
        set listed [lsort -unique $listed]
        # Each command belongs to at least one category.
        assert_equal $listed [lsort [r command list]]
        assert_error {ERR Unknown category 'nothing'} {r acl cat nothing}
    }

    test {ACL USERS and LIST know the default user, HELP the subcommands} {
        assert_equal default [r acl users]
        assert_match {{user default on * ~\* &\* +@all}} [r acl list]
        set help [r acl help]
        foreach name {CAT DRYRUN GENPASS GETUSER LIST LOG USERS WHOAMI} {
            assert {[lsearch -glob $help $name*] > 0} $name
        }
    }

    test {ACL CAT knows subcommands, GENPASS makes passwords} {
        assert {"config|set" in [r acl cat dangerous]}
        assert {"object|freq" in [r acl cat read]}
        assert {"config" ni [r acl cat dangerous]}
        assert_equal 64 [string length [r acl genpass]]
        assert_equal 2 [string length [r acl genpass 5]]
        assert_equal 1024 [string length [r acl genpass 4096]]
        assert_not_equal [r acl genpass] [r acl genpass]
        assert_error {ERR ACL GENPASS argument must be*} {r acl genpass 4097}
        assert_error {ERR This instance is not configured to use an ACL file*} {r acl save}
        assert_error {ERR This instance is not configured to use an ACL file*} {r acl load}
    }
}
