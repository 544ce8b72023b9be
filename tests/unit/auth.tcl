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

    test {RESET logs out} {
        set c [valkey_client]
        $c auth foobar
        $c ping
        $c reset
        assert_error {NOAUTH*} {$c get k}
        $c close
    }

    test {before the login requests stay small} {
        set channel [socket [srv host] [srv port]]
        fconfigure $channel -translation binary
        puts -nonewline $channel "*100\r\n"
        flush $channel
        assert_equal {-ERR Protocol error: unauthenticated multibulk length} [string trimright [gets $channel] \r]
        close $channel
        set channel [socket [srv host] [srv port]]
        fconfigure $channel -translation binary
        puts -nonewline $channel "*1\r\n\$16385\r\n"
        flush $channel
        assert_equal {-ERR Protocol error: unauthenticated bulk length} [string trimright [gets $channel] \r]
        close $channel
    }

    test {a changed password counts for the next login, an empty one lets everybody in} {
        r config set requirepass second
        assert_equal v [r get k]
        set c [valkey_client]
        assert_error {WRONGPASS*} {$c auth foobar}
        assert_equal OK [$c auth second]
        $c close
        r config set requirepass ""
        set c [valkey_client]
        assert_equal PONG [$c ping]
        $c close
    }
}
