# Runs over TLS (--tls): the certificates, connections of the tests, and what servers and
# tools are told. `::tls` says whether the run is one.

namespace eval secure {
    variable ready 0
    # How long a handshake may take.
    variable handshake_ms 20000
}

# Where the certificates are: tests/tls, made when they are wanted for the first time.
proc secure::folder {} {
    set folder [file join $::harness::tests_dir tls]
    if {![file exists [file join $folder traditional-ecdsa.key]]} {
        exec [file join $::harness::tests_dir .. utils gen-test-certs.sh] $folder
    }
    return $folder
}

# One of them.
proc tls_file {name} {
    file join [secure::folder] $name
}

proc secure::load {} {
    variable ready
    if {!$ready} {
        package require tls 1.6
        set ready 1
    }
}

# A connection with TLS, whose handshake is over. ARGS are options of tls::import.
proc tls_socket {host port args} {
    secure::load
    set options [dict merge [dict create -cafile [tls_file ca.crt] -certfile [tls_file client.crt] \
        -keyfile [tls_file client.key] -require 1] $args]
    set channel [socket $host $port]
    fconfigure $channel -translation binary -blocking 0
    if {[catch {
        ::tls::import $channel {*}$options
        set start [clock milliseconds]
        while {![::tls::handshake $channel]} {
            if {[clock milliseconds] - $start > $secure::handshake_ms * $::slow_factor} {
                error "the handshake takes more than $secure::handshake_ms ms"
            }
            # The pause between two looks.
            after 1
        }
    } message]} {
        catch {close $channel}
        error "TLS with $host port $port: $message"
    }
    fconfigure $channel -blocking 1
    return $channel
}

# A connection as this run has them.
proc run_socket {host port} {
    if {!$::tls} {
        return [socket $host $port]
    }
    set channel [tls_socket $host $port]
    # As sockets have it.
    fconfigure $channel -translation {auto crlf}
    return $channel
}

# A listening socket as this run has them.
proc run_listen {command port} {
    if {!$::tls} {
        return [socket -server $command -myaddr 127.0.0.1 $port]
    }
    secure::load
    ::tls::socket -server $command -myaddr 127.0.0.1 -certfile [tls_file server.crt] \
        -keyfile [tls_file server.key] -cafile [tls_file ca.crt] -require 1 $port
}

# The directives of a server that speaks TLS.
proc secure::config {} {
    set config {}
    foreach {key name} {
        tls-cert-file server.crt tls-key-file server.key tls-client-cert-file client.crt
        tls-client-key-file client.key tls-ca-cert-file ca.crt tls-dh-params-file valkey.dh
    } {
        dict set config $key [servers::quoted [file normalize [tls_file $name]]]
    }
    return $config
}

# The same for a server of a run over TLS: its port speaks TLS, and so do its links.
proc secure::merge {config} {
    if {!$::tls} {
        return $config
    }
    set config [dict merge [secure::config] {tls-replication yes tls-cluster yes} $config]
    if {[dict exists $config port]} {
        dict set config tls-port [dict get $config port]
        dict set config port 0
    }
    return $config
}

# What the command line tools are told.
proc tlsargs {} {
    if {!$::tls} {
        return {}
    }
    list --tls --cert [tls_file client.crt] --key [tls_file client.key] --cacert [tls_file ca.crt]
}
