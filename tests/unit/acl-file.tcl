# Users in files: the file of users (aclfile) and `user` lines of the configuration.

# Writes the file of users of the server and loads it.
proc write_users {text} {
    set file [open [users_path] w]
    puts -nonewline $file $text
    close $file
}

proc users_path {} {
    file join [lindex [r config get dir] 1] users.acl
}

proc read_users {} {
    set file [open [users_path]]
    set text [read $file]
    close $file
    return $text
}

# A folder with a file of users in it.
proc folder_with {text} {
    set folder [tmpdir users]
    set file [open [file join $folder users.acl] w]
    puts -nonewline $file $text
    close $file
    return $folder
}

start_server [list tags {"acl external:skip"} overrides [list aclfile [file join [folder_with "user alice on allcommands allkeys &* >alice\nuser bob on -@all +@set +acl ~set* &* >bob\nuser default on nopass ~* &* +@all\n"] users.acl]]] {
    # The path is absolute: the server's folder does not matter.
    proc users_path {} {
        lindex [r config get aclfile] 1
    }

    set begin "user alice on allcommands allkeys &* >alice\nuser bob on -@all +@set +acl ~set* &* >bob\nuser default on nopass ~* &* +@all\n"

    test {the file of users is read at the start} {
        set c [valkey_client]
        assert_equal OK [$c auth alice alice]
        assert_equal alice [$c acl whoami]
        assert_equal OK [$c auth bob bob]
        assert_error {NOPERM*} {$c get k}
        $c close
    }

    test {ACL SAVE writes what ACL LIST shows} {
        r acl setuser carol reset on nopass ~a (+get ~b)
        assert_equal OK [r acl save]
        assert_equal [join [r acl list] \n]\n [read_users]
        r acl deluser carol
        assert_equal OK [r acl load]
        assert {"carol" in [r acl users]}
        r acl deluser carol
        assert_equal OK [r acl save]
    }

    test {ACL SAVE leaves the mode of the file as it was, and no other file} {
        # The reference makes it readable for all.
        file attributes [users_path] -permissions 0600
        r acl save
        assert_match *600 [file attributes [users_path] -permissions]
        assert_equal 1 [llength [glob [file dirname [users_path]]/*]]
    } {} {peer:skip}

    test {ACL LOAD closes who is gone, and gives the others their rights of now} {
        write_users "user alice on +@all ~* &* nopass\nuser default on nopass ~* &* +@all\nuser dora on nopass +ping\n"
        r acl load
        set alice [valkey_client]
        $alice auth alice x
        set dora [valkey_client]
        $dora auth dora x
        write_users "user alice on +get ~* nopass\nuser default on nopass ~* &* +@all\n"
        assert_equal OK [r acl load]
        assert_error {*} {$dora ping}
        assert_equal {} [$alice get k]
        assert_error {NOPERM*} {$alice set k v}
        assert_equal default [r acl whoami]
        $alice close
        $dora close
    }

    test {who is gone after its own ACL LOAD has its answer first} {
        # The reference ends.
        write_users "user default on nopass ~* &* +@all\nuser dora on nopass +@all\n"
        r acl load
        write_users "user default on nopass ~* &* +@all\n"
        set channel [wire_open [srv host] [srv port]]
        wire_send $channel AUTH dora x
        wire_send $channel ACL LOAD
        assert_equal +OK [wire_reply $channel]
        assert_equal +OK [wire_reply $channel]
        assert [wire_closed $channel]
        wire_close_all
        assert_equal PONG [r ping]
    } {} {peer:skip}

    test {ACL LOAD closes who may not listen any more} {
        write_users "user default on nopass ~* &* +@all\nuser dora on nopass +@all &a &b\n"
        r acl load
        set a [valkey_client]
        $a auth dora x
        $a subscribe a
        set b [valkey_client]
        $b auth dora x
        $b subscribe b
        write_users "user default on nopass ~* &* +@all\nuser dora on nopass +@all &a\n"
        r acl load
        assert_match pong* [$a ping]
        assert_error {*} {$b ping}
        $a close
        $b close
    }

    test {all errors of a file are told, and nothing changes} {
        set path [users_path]
        set before [r acl list]
        write_users "user x on +nosuch ~* ~a\nusers y on\nuser \nuser z (+get\nuser default on nopass ~* &* +@all\nuser default off\n"
        catch {r acl load} error
        assert_equal $before [r acl list]
        foreach part [list \
            "ERR $path:1: Error in applying operation '+nosuch': Unknown command or category name in ACL. " \
            "$path:1: Adding a pattern after the * pattern*" \
            "$path:2 should start with user keyword followed by the username. " \
            "$path:4: Unmatched parenthesis in selector definition." \
            "WARNING: Duplicate user 'default' found on line 6. " \
            "WARNING: ACL errors detected, no change to the previously active ACL rules was performed"] {
            assert_match "*$part*" $error
        }
        write_users $begin
    }

    test {a file with blank lines and other line ends is read} {
        write_users "\r\n  user dora on nopass +get \r\n\n\tuser default on nopass ~* &* +@all\r\n"
        assert_equal OK [r acl load]
        assert {"user dora on nopass sanitize-payload resetchannels -@all +get" in [r acl list]}
        write_users $begin
    }

    test {a file without the default user gives it all rights} {
        write_users "user dora on nopass +get\n"
        assert_equal OK [r acl load]
        assert {"user default on nopass sanitize-payload ~* &* +@all" in [r acl list]}
        write_users $begin
    }

    test {a file that is gone is told} {
        set path [users_path]
        write_users $begin
        file rename $path $path.away
        assert_error "ERR Error loading ACLs, opening file '$path': No such file or directory" {r acl load}
        file rename $path.away $path
        assert_equal OK [r acl load]
    }

    test {CONFIG REWRITE leaves users to their file} {
        write_users $begin
        r acl load
        r config rewrite
        set file [open [srv config_file]]
        set text [read $file]
        close $file
        assert_no_match "*\nuser *" $text
    }
}

start_server {tags {"acl external:skip"} config_lines {user {alice on +@all -@dangerous ~a* %R~b &c >secret (+set ~d)} user {"" on nopass +ping}}} {
    test {user lines are read} {
        assert {"user alice on sanitize-payload #2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b ~a* %R~b resetchannels &c +@all -@dangerous (~d resetchannels -@all +set)" in [r acl list]}
        set c [valkey_client]
        assert_equal OK [$c auth "" x]
        assert_equal PONG [$c ping]
        $c close
    }

    test {CONFIG REWRITE writes lines that are read again} {
        # The reference quotes nothing.
        r acl setuser bob reset on nopass "~a\"b" +get "(+set" "~c)"
        r acl setuser default (+get)
        set users [r acl list]
        assert_equal OK [r config rewrite]
        restart_server 0 true false
        assert_equal $users [r acl list]
        r acl setuser default clearselectors
        r acl deluser bob
        r config rewrite
    } * {peer:skip}
}

start_server {tags {"acl external:skip"} config_lines {requirepass foo user {default on nopass +ping}}} {
    test {a line about the default user starts from nothing, and wins over requirepass} {
        assert_equal PONG [r ping]
        assert_error {NOPERM User default has no permissions to run the 'get' command} {r get k}
    }
}

start_server {tags {"acl external:skip"} config_lines {requirepass foo user {alice on nopass +ping}}} {
    test {requirepass counts beside lines about others} {
        assert_error {NOAUTH*} {r ping}
        set c [valkey_client]
        assert_equal OK [$c auth alice x]
        assert_equal PONG [$c ping]
        assert_equal OK [r auth foo]
    }
}

start_server {tags {"acl external:skip needs:repl"} overrides {repl-diskless-sync-delay 0}} {
    start_server [list overrides [list aclfile [file join [folder_with "user default on nopass ~* &* +@all\n"] users.acl]]] {
        test {ACL LOAD on a replica leaves its link alone} {
            # The reference ends.
            r replicaof [srv -1 host] [srv -1 port]
            wait_for_sync r
            assert_equal OK [r acl load]
            r -1 set k v
            wait_for_ofs_sync "r -1" r
            assert_equal v [r get k]
            assert_equal up [s master_link_status]
            r replicaof no one
        } * {peer:skip}
    }
}
