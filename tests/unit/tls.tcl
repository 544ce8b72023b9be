# TLS: who is let in, what is agreed upon, and what CONFIG SET makes of it. The servers have a
# plain port too, over which the tests look at them.

# Start CODE with a server that has a port for TLS beside its plain one: `tls_port` in the caller.
proc with_tls_server {overrides code} {
    set tls_port [find_available_port]
    set config [dict merge [secure::config] [list tls-port $tls_port] $overrides]
    uplevel 1 [list set tls_port $tls_port]
    uplevel 1 [list start_server [list overrides $config] $code]
}

# PING over TLS, with the certificate of this name or none, and more options of tls::import. Returns the answer,
# or `refused`.
proc tls_ping {port {name client} args} {
    set options [list -cafile [tls_file ca.crt] {*}$args]
    if {$name ne ""} {
        lappend options -certfile [tls_file $name.crt] -keyfile [tls_file $name.key]
    } else {
        lappend options -certfile "" -keyfile ""
    }
    # In TLS 1.3 a client learns only with the first read that it is refused.
    if {[catch {
        set channel [tls_socket 127.0.0.1 $port {*}$options]
        puts -nonewline $channel "PING\r\n"
        flush $channel
        gets $channel line
    }]} {
        catch {close $channel}
        return refused
    }
    close $channel
    expr {$line eq "+PONG\r" ? "PONG" : "refused"}
}

# The suite and version that a client with these options gets.
proc tls_agreed {port args} {
    set channel [tls_socket 127.0.0.1 $port {*}$args]
    set status [::tls::status $channel]
    close $channel
    list [dict get $status version] [dict get $status cipher]
}

tags {"tls external:skip tls:skip"} {
with_tls_server {} {
    test {whoever does not speak TLS is closed without a word, and the next one is served} {
        set mark [log_mark]
        set channel [socket 127.0.0.1 $tls_port]
        fconfigure $channel -translation binary -blocking 1
        puts -nonewline $channel "PING\r\n"
        flush $channel
        set got ""
        catch {set got [read $channel]}
        assert_equal "" $got
        close $channel
        wait_for_log $mark {*Error accepting a client connection: * (addr=127.0.0.1:* laddr=127.0.0.1:*)*}
        assert_equal PONG [tls_ping $tls_port]
        assert_equal PONG [r ping]
    }

    test {certificates are judged as tls-auth-clients says, from the next connection on} {
        foreach {mode expected} {
            yes {"" refused client PONG valkey PONG server refused untrusted refused forged-v1 refused expired refused expired-v1 refused purpose refused}
            optional {"" PONG client PONG valkey PONG server refused untrusted refused untrusted-v1 refused}
            no {"" PONG client PONG}
        } {
            r config set tls-auth-clients $mode
            foreach {name answer} $expected {
                assert_equal $answer [tls_ping $tls_port $name] "$mode, $name"
            }
        }
        r config set tls-auth-clients yes
    }

    test {a certificate with its chain is verified by who knows the root} {
        set dir [tmpdir chain]
        foreach name {crt key} from {chain.crt chained.key} {
            file copy [tls_file $from] $dir/both.$name
        }
        r config set tls-cert-file $dir/both.crt tls-key-file $dir/both.key
        assert_equal PONG [tls_ping $tls_port]
        r config set tls-cert-file [tls_file chained.crt]
        assert_equal refused [tls_ping $tls_port]
        r config set tls-cert-file [tls_file server.crt] tls-key-file [tls_file server.key]
        assert_equal PONG [tls_ping $tls_port]
    }

    test {versions and suites are those of the parameters} {
        assert_equal TLSv1.3 [lindex [tls_agreed $tls_port] 0]
        r config set tls-protocols TLSv1.2
        assert_equal TLSv1.2 [lindex [tls_agreed $tls_port] 0]
        assert_equal refused [tls_ping $tls_port client -tls1.2 0]
        set aes128 ECDHE-RSA-AES128-GCM-SHA256
        set aes256 ECDHE-RSA-AES256-GCM-SHA384
        r config set tls-ciphers $aes128
        assert_equal $aes128 [lindex [tls_agreed $tls_port] 1]
        assert_equal refused [tls_ping $tls_port client -cipher $aes256]
        r config set tls-ciphers $aes256:$aes128 tls-prefer-server-ciphers yes
        assert_equal $aes256 [lindex [tls_agreed $tls_port -cipher $aes128:$aes256] 1]
        r config set tls-prefer-server-ciphers no
        assert_equal $aes128 [lindex [tls_agreed $tls_port -cipher $aes128:$aes256] 1]
        assert_error {*Unable to update TLS configuration*} {r config set tls-ciphers nonsense}
        assert_error {*Unable to update TLS configuration*} {r config set tls-protocols TLSv9}
        r config set tls-ciphers "" tls-protocols TLSv1.3 tls-ciphersuites TLS_CHACHA20_POLY1305_SHA256
        assert_equal {TLSv1.3 TLS_CHACHA20_POLY1305_SHA256} [tls_agreed $tls_port]
        r config set tls-protocols "" tls-ciphersuites ""
    }

    test {a change that fails leaves everything as it was, connections too} {
        set client [valkey 127.0.0.1 $tls_port 0 1]
        set before [r config get tls-*]
        set mark [log_mark]
        foreach {key value line} [list \
            tls-cert-file /nowhere "Failed to load certificate: /nowhere: " \
            tls-cert-file [tls_file client.crt] "Failed to load private key: " \
            tls-key-file [tls_file server-encrypted.key] "Failed to load private key: " \
            tls-ca-cert-file /nowhere "Failed to configure CA certificate(s) file/directory: " \
            tls-dh-params-file /nowhere "Failed to load /nowhere: No such file or directory"] {
            assert_error "ERR CONFIG SET failed (possibly related to argument '$key') - Unable to update TLS configuration. Check server logs." \
                {r config set $key $value}
            wait_for_log $mark "*$line*"
            wait_for_log $mark "*Possibly related to new $key setting. Restoring previous settings.*"
        }
        assert_equal $before [r config get tls-*]
        assert_equal PONG [$client ping]
        assert_equal PONG [tls_ping $tls_port]
        $client close
    }

    test {the same path is read anew when it is set again; connections keep what they have} {
        set dir [tmpdir rotation]
        foreach {name from} {crt server key server} {
            file copy [tls_file $from.$name] $dir/own.$name
        }
        r config set tls-cert-file $dir/own.crt tls-key-file $dir/own.key
        set client [valkey 127.0.0.1 $tls_port 0 1]
        foreach name {crt key} {
            file copy -force [tls_file valkey.$name] $dir/own.$name
        }
        proc subject {port} {
            set channel [tls_socket 127.0.0.1 $port]
            set subject [dict get [::tls::status $channel] subject]
            close $channel
            return $subject
        }
        assert_match *Server-only* [subject $tls_port]
        r config set tls-cert-file $dir/own.crt
        assert_match *Generic-cert* [subject $tls_port]
        assert_equal PONG [$client ping]
        $client close
        r config set tls-cert-file [tls_file server.crt] tls-key-file [tls_file server.key]
    }

    foreach {form key} {PKCS#8 server-encrypted traditional traditional-aes256} {
        test "a key that is encrypted ($form) takes its passphrase" {
            set file [tls_file $key.key]
            assert_error {*Unable to update TLS configuration*} {r config set tls-key-file $file}
            assert_error {*Unable to update TLS configuration*} {
                r config set tls-key-file $file tls-key-file-pass wrong
            }
            r config set tls-key-file $file tls-key-file-pass valkey
            assert_equal PONG [tls_ping $tls_port]
            r config set tls-key-file [tls_file server.key] tls-key-file-pass ""
        }
    }

    test {a port number moves from one kind to the other and back, with clients on it} {
        set client [valkey 127.0.0.1 $tls_port 0 1]
        set plain [srv port]
        assert_match "*name=tls,*port=$tls_port*" [getInfoProperty [r info server] listener2]
        $client config set port 0
        $client config set tls-port $plain
        assert_equal PONG [$client ping]
        assert_equal PONG [tls_ping $plain]
        assert_equal $plain [getInfoProperty [$client info server] tcp_port]
        $client config set tls-port $tls_port port $plain
        assert_equal PONG [[valkey 127.0.0.1 $plain 0 0] ping]
        assert_equal PONG [tls_ping $tls_port]
        assert_equal PONG [$client ping]
        $client close
    }

    test {long requests and replies, and a pipeline, pass unharmed} {
        set client [valkey 127.0.0.1 $tls_port 1 1]
        set value [string repeat "0123456789abcdef" 300000]
        $client set big $value
        $client get big
        assert_equal OK [$client read]
        assert {[$client read] eq $value}
        for {set i 0} {$i < 2000} {incr i} {
            $client set key:$i [string repeat $i 20]
            $client get key:$i
        }
        for {set i 0} {$i < 2000} {incr i} {
            assert_equal OK [$client read]
            assert_equal [string repeat $i 20] [$client read]
        }
        $client close
    }

    test {bytes may come one by one, garbage ends the connection} {
        set channel [tls_socket 127.0.0.1 $tls_port]
        fconfigure $channel -buffering none
        foreach byte [split "PING\r\n" ""] {
            puts -nonewline $channel $byte
            flush $channel
            # Each in a record and a segment of its own.
            after 2
        }
        assert_equal "+PONG\r" [gets $channel]
        close $channel
        for {set i 0} {$i < 20} {incr i} {
            set channel [socket 127.0.0.1 $tls_port]
            fconfigure $channel -translation binary -blocking 1
            catch {
                puts -nonewline $channel "\x16\x03\x01[binary format S [expr {int(rand() * 16384)}]][randstring 300 300 binary]"
                flush $channel
            }
            catch {close $channel}
        }
        assert_equal PONG [tls_ping $tls_port]
        assert_equal PONG [r ping]
    }

    test {too many clients are closed before a handshake, and counted} {
        set before [getInfoProperty [r info stats] rejected_connections]
        set maxclients [lindex [r config get maxclients] 1]
        r config set maxclients 1
        assert_equal refused [tls_ping $tls_port]
        r config set maxclients $maxclients
        assert {[getInfoProperty [r info stats] rejected_connections] > $before}
        assert_equal PONG [tls_ping $tls_port]
    }

    test {CONFIG REWRITE keeps the parameters} {
        r config set tls-session-cache-timeout 60
        r config rewrite
        set text [catalog::read_file [srv config_file]]
        foreach line [list "tls-session-cache-timeout 60" "tls-port $tls_port" "tls-cert-file *server.crt*"] {
            assert_match "*$line*" $text
        }
    }
}

with_tls_server {maxclients 100} {
    test {peers that are silent in their handshake are given up, and keep out nobody for longer} {
        set silent {}
        for {set i 0} {$i < 30} {incr i} {
            lappend silent [socket 127.0.0.1 $tls_port]
        }
        set mark [log_mark]
        assert_equal PONG [r ping]
        wait_for_log $mark {*Error accepting a client connection: the handshake took too long*} 30000
        wait_for_condition 150 200 {[tls_ping $tls_port] eq "PONG"} else {
            fail "nobody is let in"
        }
        foreach channel $silent {
            close $channel
        }
    } {} {peer:skip slow}

    test {strict certificates leave out those of version 1} {
        assert_equal PONG [tls_ping $tls_port valkey]
        r config set tls-strict-certificates yes
        assert_equal refused [tls_ping $tls_port valkey]
        assert_equal PONG [tls_ping $tls_port client]
    } {} {peer:skip}
}
}
