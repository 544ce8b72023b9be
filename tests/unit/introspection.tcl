# CLIENT, CONFIG, MONITOR, LATENCY: looking into the server and changing it while it runs.

start_server {tags {"introspection external:skip"}} {
    test {CLIENT LIST and INFO have all fields} {
        set fields {id addr laddr fd name age idle flags db sub psub ssub multi watch qbuf qbuf-free argv-mem multi-mem rbs rbp obl oll omem tot-mem events cmd user redir resp lib-name lib-ver tot-net-in tot-net-out tot-cmds}
        foreach line [list [string trim [r client list]] [string trim [r client info]]] {
            set names {}
            foreach word $line {lappend names [lindex [split $word =] 0]}
            assert_equal $fields $names
        }
        assert_match {*flags=N db=9 *cmd=client|info user=default redir=-1 resp=2 *} [r client info]
    } {} {singledb:skip}

    test {CLIENT LIST names the last command, also one that was refused} {
        set c [valkey_client]
        set id [$c client id]
        foreach {command name} {
            {get a} get  {set a} set  {nosuch} NULL  {config get} config|get  config config  {config nosuch} NULL
        } {
            catch {$c {*}$command}
            assert_match "*cmd=$name *" [r client list id $id]
        }
        $c close
    }

    test {CLIENT LIST can be filtered by type and by id} {
        set c [valkey_deferring_client]
        subscribe $c {ch}
        assert_match {*flags=P *sub=1 *} [r client list type pubsub]
        assert_equal 1 [llength [split [string trim [r client list type normal]] \n]]
        assert_equal {} [r client list type replica]
        assert_match "id=[r client id] *" [r client list id 999999 [r client id]]
        assert_error {ERR Unknown client type 'x'} {r client list type x}
        assert_error {ERR Invalid client ID} {r client list id x}
        assert_error {ERR syntax error} {r client list id}
        assert_error {ERR syntax error} {r client list x}
        $c close
    }

    test {CLIENT LIST and KILL take the old words for the roles} {
        assert_equal {{} {} 0 0} [list [r client list type master] [r client list type slave] \
            [r client kill type master] [r client kill type slave]]
    }

    test {CLIENT KILL LADDR and ADDR are the two ends of a connection} {
        set c [valkey_client]
        regexp {addr=(\S+) laddr=(\S+)} [$c client info] - addr laddr
        assert_not_equal $addr $laddr
        assert_equal {0 0} [list [r client kill addr $laddr] [r client kill laddr $addr]]
        assert_equal PONG [$c ping]
        assert_equal 0 [r client kill addr $addr laddr $addr]
        assert_equal 1 [r client kill addr $addr laddr $laddr]
        assert_error {*I/O error*} {$c ping}
        # All have the same local end.
        set c [valkey_client]
        set others [expr {[llength [split [string trim [r client list]] \n]] - 1}]
        assert_equal $others [r client kill laddr $laddr]
        assert_error {*I/O error*} {$c ping}
        $c close
    }

    test {CLIENT LIST follows what a client does} {
        set c [valkey_client]
        set id [$c client id]
        $c ping
        $c hello 3
        $c watch a b
        $c multi
        $c set a [string repeat x 1000]
        $c set b y
        set row [r client list id $id]
        assert_match {* flags=x * multi=2 watch=2 * resp=3 *} $row
        foreach {field least most} {multi-mem 1000 1500 tot-net-in 1150 1600 tot-net-out 100 600 tot-cmds 5 8} {
            assert_equal 1 [regexp " $field=(\\d+)" $row -> value]
            assert_range $value $least $most $field
        }
        # A transaction that is lost keeps nothing.
        r set a x
        assert_match {* flags=xd * multi=0 watch=0 * multi-mem=0 *} [r client list id $id]
        $c discard
        $c multi
        $c set a x
        catch {$c nosuchcommand}
        assert_match {* flags=x * multi=0 * multi-mem=0 *} [r client list id $id]
        $c discard
        $c watch a b
        assert_match {* flags=N *watch=2 *} [r client list id $id]
        eventually 5000 {[regexp { idle=[1-9]} [r client list id $id]]}
        $c close
    } {} {slow}

    test {names and library} {
        assert_equal {} [r client getname]
        r client setname me
        r client setinfo lib-name lib
        r client setinfo LIB-VER 1.2
        assert_equal me [r client getname]
        assert_match {* name=me * lib-name=lib lib-ver=1.2 *} [r client info]
        assert_error {ERR Client names cannot contain spaces*} {r client setname "a b"}
        assert_error {ERR lib-name cannot contain spaces*} {r client setinfo lib-name "a b"}
        assert_error {ERR Unrecognized option 'x'} {r client setinfo x y}
        r client setname ""
        assert_match {* name= *} [r client info]
        r readraw 1
        assert_equal {$-1} [r client getname]
        r readraw 0
    }

    test {CLIENT KILL by address, old and new form} {
        set c [valkey_client]
        regexp {addr=(\S+) laddr=(\S+)} [$c client info] _ addr laddr
        assert_equal OK [r client kill $addr]
        assert_error * {$c ping}
        assert_error {ERR No such client} {r client kill 1.2.3.4:5}
        set c [valkey_client]
        regexp {addr=(\S+) laddr=(\S+)} [$c client info] _ addr laddr
        assert_equal 0 [r client kill addr $addr laddr 1.2.3.4:5]
        assert_equal 1 [r client kill addr $addr laddr $laddr user default]
        assert_error * {$c ping}
    }

    test {CLIENT KILL by id, type and age spares the caller unless told otherwise} {
        set c [valkey_client]
        assert_equal 1 [r client kill id [$c client id]]
        assert_error * {$c ping}
        assert_equal 0 [r client kill id [r client id]]
        set c [valkey_client]
        assert_equal 0 [r client kill maxage 1000000]
        assert_equal 0 [r client kill type pubsub]
        assert_equal 0 [r client kill type replica id [$c client id]]
        assert_equal 1 [$c client kill id [$c client id] skipme no]
        assert_error * {$c ping}
        foreach {words error} {
            {id 0} {ERR client-id should be greater than 0}
            {type x} {ERR Unknown client type 'x'}
            {user nobody} {ERR No such user 'nobody'}
            {maxage 0} {ERR maxage should be greater than 0}
            {maxage x} {ERR maxage is not an integer or out of range}
            {skipme maybe} {ERR syntax error}
            {id 1 type} {ERR syntax error}
        } {
            assert_error $error {r client kill {*}$words}
        }
    }

    test {CLIENT REPLY OFF, SKIP and ON} {
        set c [valkey_deferring_client]
        $c client reply off
        $c ping one
        $c client reply on
        assert_equal OK [$c read]
        $c client reply skip
        $c ping two
        $c ping three
        assert_equal three [$c read]
        $c close
    }

    test {CLIENT UNBLOCK ends a wait as its timeout would, or with an error} {
        set c [valkey_deferring_client]
        $c client id
        set id [$c read]
        assert_equal 0 [r client unblock $id]
        $c blpop nokey 0
        wait_for_blocked_client
        assert_match {*flags=b *} [r client list id $id]
        assert_equal 1 [r client unblock $id timeout]
        assert_equal {} [$c read]
        $c blpop nokey 0
        wait_for_blocked_client
        assert_equal 1 [r client unblock $id error]
        assert_error {UNBLOCKED client unblocked via CLIENT UNBLOCK} {$c read}
        assert_match count=* [errorrstat UNBLOCKED r]
        assert_error {ERR CLIENT UNBLOCK reason*} {r client unblock $id x}
        $c close
    }

    test {CLIENT PAUSE WRITE holds writes back, reads go on} {
        r client pause 100000 write
        r client pause 1 write
        set c [valkey_deferring_client]
        $c set paused yes
        wait_for_blocked_clients_count 1
        # The shorter pause does not end the longer one.
        eventually 5000 {[regexp { idle=[1-9]\d* flags=b } [r client list]]}
        assert_equal {} [r get paused]
        r client unpause
        assert_equal OK [$c read]
        assert_equal yes [r get paused]
        r client pause 1 all
        assert_equal PONG [r ping]
        assert_error {ERR CLIENT PAUSE mode must be WRITE or ALL} {r client pause 1 x}
        assert_error {ERR timeout is negative} {r client pause -1}
        $c close
    }

    # What the client has said before the pause, what it then asks, and the answer behind the pause.
    foreach {what before asks answer} {
        {EXEC of a write that was queued before} {{multi} {set paused yes}} {exec} OK
        {EXEC of a write among reads} {{multi} {get paused} {set paused yes} {get paused}} {exec} {{} OK yes}
        {EXEC of a PUBLISH that was queued before} {{multi} {publish news queued}} {exec} 1
        {a write inside of a transaction} {{multi} {get paused}} {set paused yes} QUEUED
        {PUBLISH} {} {publish news m} 1
        {SPUBLISH} {} {spublish shard m} 1
        {a write that would change nothing} {} {del none} 0
        {GETEX, which may write} {} {getex paused} {}
        {FLUSHALL} {} {flushall} OK
    } {
        test "CLIENT PAUSE WRITE holds back $what" {
            # Of one that has failed.
            r client unpause
            r del paused
            set listening [valkey_deferring_client]
            subscribe $listening news
            ssubscribe $listening shard
            set c [valkey_deferring_client]
            foreach command $before {
                $c {*}$command
                $c read
            }
            r client pause 100000 write
            $c {*}$asks
            wait_for_blocked_clients_count 1
            assert_equal {} [r get paused]
            # Nobody hears anything before: it would come in front of what is told behind the pause.
            r client unpause
            assert_equal $answer [$c read]
            r publish news end
            set message [$listening read]
            set told {{publish news m} m {exec} queued}
            if {$asks eq "spublish shard m"} {
                assert_equal {smessage shard m} $message
            } elseif {[dict exists $told $asks] && $answer eq 1} {
                assert_equal [list message news [dict get $told $asks]] $message
            } else {
                assert_equal {message news end} $message
            }
            foreach client [list $c $listening] { $client close }
        }
    }

    test {CLIENT PAUSE WRITE lets go by what cannot write} {
        r client unpause
        r set k v
        set queued [valkey_client]
        $queued multi
        $queued get k
        set given_up [valkey_client]
        $given_up multi
        $given_up set k w
        set empty [valkey_client]
        $empty multi
        r client pause 100000 write
        assert_equal v [$queued exec]
        assert_equal OK [$given_up discard]
        assert_equal {} [$empty exec]
        assert_equal {v 1 0} [list [r get k] [r touch k] [r wait 0 0]]
        assert_error {ERR wrong number of arguments*} {r set k}
        # What is queued under a pause may run under it.
        r multi
        r get k
        assert_equal v [r exec]
        r client unpause
        foreach client [list $queued $given_up $empty] { $client close }
    }

    test {NO-EVICT, NO-TOUCH and tracking that is off} {
        r client no-evict on
        r client no-touch on
        assert_match {* flags=eT *} [r client info]
        r client no-evict off
        r client no-touch off
        assert_match {* flags=N *} [r client info]
        assert_equal -1 [r client getredir]
        assert_equal {flags off redirect -1 prefixes {}} [r client trackinginfo]
        assert_equal OK [r client capa redirect unknown]
    }

    test {MONITOR shows commands, but neither secrets nor administration} {
        set c [valkey_deferring_client]
        $c monitor
        assert_equal OK [$c read]
        r set foo "a\nb"
        catch {r auth user secret}
        r config get nothing
        r multi
        r ping
        r exec
        assert_match {*\[9 127.0.0.1:*\] "set" "foo" "a\\nb"} [$c read]
        assert_match {*"auth" "(redacted)" "(redacted)"} [$c read]
        assert_match {*"multi"} [$c read]
        assert_match {*"ping"} [$c read]
        assert_match {*"exec"} [$c read]
        assert_match {*flags=O *} [r client list]
        $c get foo
        assert_error {ERR Replica can't interact with the keyspace} {$c read}
        $c close
    } {} {singledb:skip}

    # A command that has to wait, what brings it its answer, and how often it may be looked at again before.
    foreach {command news} {
        {blpop k{t} 0} {{set k{t} v} {del k{t}} {rpush k{t} v}}
        {blmove k{t} dst{t} left left 0} {{rpush k{t} v}}
        {blmpop 0 1 k{t} left} {{set k{t} v} {del k{t}} {rpush k{t} v}}
        {bzpopmin k{t} 0} {{zadd k{t} 1 v}}
        {xread block 0 streams k{t} $} {{xadd k{t} 1-1 f v} {xadd k{t} 2-1 f v}}
        {xreadgroup group g c block 0 streams x{t} >} {{xadd x{t} * f v}}
        {wait 100 0} {}
    } {
        test "MONITOR shows a command that waits once: [lindex $command 0]" {
            r del k{t} dst{t} x{t}
            r xgroup create x{t} g $ mkstream
            set watching [valkey_deferring_client]
            $watching monitor
            assert_equal OK [$watching read]
            set waiting [valkey_deferring_client]
            $waiting client id
            set id [$waiting read]
            $waiting {*}$command
            wait_for_blocked_client
            foreach one $news { r {*}$one }
            if {$news eq ""} { r client unblock $id }
            $waiting read
            r echo end
            set seen {}
            while {[lindex $seen end] ne {"echo" "end"}} {
                lappend seen [regsub {^.*?\] } [$watching read] {}]
            }
            # Quoted as it is shown.
            set shown [join [lmap word $command {set _ "\"$word\""}]]
            assert_equal 1 [llength [lsearch -all -exact $seen $shown]]
            $waiting close
            $watching close
        }
    }

    test {MONITOR shows the end of a transaction that is refused} {
        set watching [valkey_deferring_client]
        $watching monitor
        assert_equal OK [$watching read]
        r multi
        catch {r exec surplus}
        r multi
        catch {r nosuchcommand}
        catch {r exec}
        foreach words {{"multi"} {"exec" "surplus"} {"multi"} {"exec"}} {
            assert_match "*\\] $words" [$watching read]
        }
        $watching close
    }

    test {clients that wait or listen may do so for longer than the timeout} {
        set idle [valkey_client]
        set waiting [valkey_deferring_client]
        $waiting blpop nokey 0
        set listening [valkey_deferring_client]
        subscribe $listening {news}
        # More than a busy machine keeps us from asking again, which is what spares us.
        r config set timeout 3
        set id [$idle client id]
        eventually 20000 {[r client list id $id] eq ""}
        r lpush nokey x
        assert_equal {nokey x} [$waiting read]
        assert_equal 1 [r publish news x]
        r config set timeout 0
    } {OK} {slow}

    test {CONFIG RESETSTAT begins every count anew} {
        r config set slowlog-log-slower-than -1
        r set k v px 1
        after 5
        r get k
        r set k v
        r get k
        catch {r nosuchcommand}
        r bgsave
        waitForBgsave r
        assert_morethan [s total_forks] 0
        assert_morethan [s latest_fork_usec] 0
        assert_morethan [s rdb_saves] 0
        r config resetstat
        foreach field {
            expired_keys evicted_keys keyspace_hits keyspace_misses total_error_replies rdb_saves total_forks
            latest_fork_usec sync_full sync_partial_ok sync_partial_err rejected_connections
            total_connections_received expired_time_cap_reached_count
        } {
            assert_equal 0 [s $field] $field
        }
        assert_equal {} [errorrstat ERR r]
        assert_equal {} [cmdrstat bgsave r]
    } {} {needs:save needs:config-resetstat}

    test {CONFIG SET sets all parameters or none} {
        r config set timeout 10 hz 20
        assert_equal {hz 20 timeout 10} [lsort -stride 2 [r config get timeout hz]]
        assert_error {ERR CONFIG SET failed (possibly related to argument 'hz') - *} {r config set timeout 11 hz x}
        assert_error {ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'} {r config set timeout 11 nosuch 1}
        assert_error {ERR CONFIG SET failed*duplicate parameter} {r config set timeout 11 timeout 12}
        assert_error {ERR CONFIG SET failed*can't set immutable config} {r config set databases 3}
        assert_equal {timeout 10} [r config get timeout]
        r config set timeout 0 hz 10
    }

    test {a port that is taken leaves the old one in force} {
        set taken [socket -server list -myaddr 127.0.0.1 0]
        set port [lindex [fconfigure $taken -sockname] 2]
        set mark [log_mark]
        assert_error {ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen on this port. Check server logs.} {r config set maxmemory 10000001 port $port}
        wait_for_log $mark {*Failed applying new configuration. Possibly related to new port setting. Restoring previous settings.*}
        close $taken
        assert_equal {maxmemory 0} [r config get maxmemory]
        assert_equal [list port [srv port]] [r config get port]
        set c [valkey_client]
        assert_equal PONG [$c ping]
        $c close
    } {*} {tls:skip}

    test {every parameter that can be set can be set to what it is} {
        foreach {name value} [r config get *] {
            if {[catch {r config set $name $value} error]} {
                assert_match {*immutable*} $error "$name: $error"
            }
        }
    }

    test {CONFIG REWRITE keeps what was changed over a restart} {
        r config set save "100 10" timeout 77
        r config rewrite
        restart_server 0 true false
        assert_equal {timeout 77} [r config get timeout]
        assert_equal {save {100 10}} [r config get save]
        r config set save "" timeout 0
    }

    test {CONFIG REWRITE keeps every parameter, those that take several words too} {
        foreach {name value} {
            client-output-buffer-limit "normal 0 1mb 7 replica 300mb 70mb 61 pubsub 33000001 9mb 0"
            save "3600 1 300 100"
            notify-keyspace-events "KEA"
            oom-score-adj-values "1 200 801"
            latency-tracking-info-percentiles "50 99.5 100"
            proc-title-template "{title} \"{listen-addr}\""
            maxmemory-clients 5%
            maxmemory 1000000001
            repl-backlog-size 3mb
            requirepass "a b\x00\"c"
            list-max-listpack-size -3
            bind "127.0.0.1 -::1"
            unixsocketperm 700
            replica-announce-ip "10.1.2.3"
        } {
            # What the server cannot change while it runs is none of this test's business.
            if {[catch {r config set $name $value} error]} { assert_match {*immutable*} $error "$name: $error" }
        }
        set before [r config get *]
        r config rewrite
        set text [logs::from [srv config_file] 0]
        assert_match "*\nclient-output-buffer-limit normal 0 1mb 7\n*" $text
        assert_match "*\nclient-output-buffer-limit replica 300mb 70mb 61\n*" $text
        assert_match "*\nclient-output-buffer-limit pubsub 33000001 9mb 0\n*" $text
        restart_server 0 true false 0
        set c [valkey [srv host] [srv port]]
        $c auth "a b\x00\"c"
        foreach {name value} $before {
            assert_equal $value [lindex [$c config get $name] 1] $name
        }
        # Written again it is the same, but for empty lines.
        set text [regsub -all {\n+} [logs::from [srv config_file] 0] \n]
        $c config rewrite
        assert_equal $text [regsub -all {\n+} [logs::from [srv config_file] 0] \n]
        $c config set requirepass "" maxmemory 0 maxmemory-clients 0 notify-keyspace-events ""
        $c close
        reconnect
    } {*} {needs:save}

    test {maxclients takes effect at once} {
        set clients [s connected_clients]
        r config set maxclients $clients
        set channel [wire_open [srv host] [srv port]]
        assert_equal {-ERR max number of clients reached} [wire_line $channel]
        wire_close $channel
        assert_equal 1 [s rejected_connections]
        r config set maxclients 10000
    } {*} {tls:skip}

    test {LATENCY notes slow commands} {
        r config set latency-monitor-threshold 20
        r latency reset
        r debug sleep 0.03
        set latest [lindex [r latency latest] 0]
        assert_equal command [lindex $latest 0]
        assert_range [lindex $latest 3] 30 1000
        assert_equal 2 [llength [lindex [r latency history command] 0]]
        # Four rows, a row of blanks, and as many rows as the age has characters.
        assert_match "command - high * ms*\n \n \n \n_\n \n\[0-9\]*\ns\n" [r latency graph command]
        assert_match {*1. command: 1 latency spikes*} [r latency doctor]
        assert_error {ERR No samples available for event 'nosuch'} {r latency graph nosuch}
        assert_equal 1 [r latency reset command]
        assert_equal {} [r latency latest]
    } {} {needs:latency needs:debug}

    test {containers know their subcommands, their number of arguments and how to help} {
        foreach command {client config latency slowlog} {
            assert_error "ERR unknown subcommand 'x'. Try [string toupper $command] HELP." {r $command x}
            assert_match "[string toupper $command] <subcommand>*" [lindex [r $command help] 0]
        }
        assert_error {ERR wrong number of arguments for 'client|id' command} {r client id x}
        assert_match {*ver. *} [r lolwut]
    }

    test {LOLWUT draws pictures of the size it is asked for, and ends with the version} {
        assert_match {Redis ver. *.*.*} [string trimright [r lolwut] \n]
        foreach words {{} version {version 0} {version 7} {5 1 1 1}} {
            assert_equal [r lolwut] [r lolwut {*}$words]
        }
        foreach {sizes columns lines} {{} 66 49 1 1 1 {10 3 2} 10 4 {10 10 10 10} 10 5 {-1 -1 -1} 1 1 {5000 5000 5000} 1000 500} {
            set picture [split [encoding convertfrom utf-8 [r lolwut version 5 {*}$sizes]] \n]
            # A blank line, the version and what is behind the last line end.
            assert_equal $lines [expr {[llength $picture] - 3}]
            assert_equal $columns [string length [lindex $picture 0]]
            assert_match {*Redis ver. *} [lindex $picture end-1]
        }
        foreach {sizes lines} {{} 20 20 20 {20 5} 5 {20 5 x} 5 {-5 -5} 1 {1 5000} 1000} {
            assert_equal $lines [expr {[llength [split [r lolwut version 6 {*}$sizes] \n]] - 3}]
        }
        foreach words {{version x} {version 5.0} {version 5 x} {version 5 1 x} {version 5 1 1 x} {version 6 x} {version 6 1 x}
                {version 99999999999999999999}} {
            assert_error {ERR value is not an integer or out of range} {r lolwut {*}$words}
        }
    }

    # The reference has an empty set where there are no subcommands, and an array where there are some.
    test {the subcommands of COMMAND INFO are an array in RESP3 also without any} {
        set channel [raw_socket [srv host] [srv port]]
        puts -nonewline $channel "HELLO 3\r\nCOMMAND INFO ping\r\nQUIT\r\n"
        flush $channel
        # Line ends are translated.
        assert_match "*\n\$4\nping\n*~0\n\\*0\n+OK\n" [read $channel]
        close $channel
    } {} {peer:skip}
}

start_server {tags {"introspection external:skip"}} {
    test {CLIENT REPLY OFF and SKIP also hold for commands that wait, but not for pushes} {
        set c [valkey_deferring_client]
        $c client reply off
        $c blpop key 0.01
        $c client reply on
        assert_equal OK [$c read]
        $c client reply skip
        $c blpop key 0
        wait_for_blocked_client
        r rpush key x
        $c ping
        assert_equal PONG [$c read]
        $c client reply off
        # A refusal is a reply.
        $c subscribe
        $c subscribe channel
        assert_equal {subscribe channel 1} [$c read]
        r publish channel hello
        assert_equal {message channel hello} [$c read]
        $c close
    }

    test {a silent client is closed after timeout, but not one that waits, listens or monitors} {
        foreach name {waiting listening monitoring} {
            set $name [valkey_deferring_client]
            [set $name] client setname $name
            assert_equal OK [[set $name] read]
        }
        $waiting blpop key 0
        $listening subscribe channel
        $monitoring monitor
        wait_for_blocked_client
        # The last to speak, so the last to be closed.
        set silent [valkey_deferring_client]
        $silent client setname silent
        assert_equal OK [$silent read]
        r config set timeout 1
        wait_for_condition 100 50 {[llength [lsearch -all -inline [split [r client list] \n] *name=silent*]] == 0} else {
            fail "it is still there"
        }
        foreach name {waiting listening monitoring} {
            assert_match "* name=$name *" [r client list]
            [set $name] close
        }
        $silent close
        r config set timeout 0
    }

    test {a waiting client's row shows its arguments} {
        set c [valkey_deferring_client]
        $c blpop key 0
        wait_for_blocked_client
        assert_match {*flags=b *argv-mem=9 *cmd=blpop *} [r client list]
        $c close
    }
}

# rename-command: what clients call a command; statistics, rules and documentation keep the name of the table.
start_server {tags {"introspection external:skip"} config_lines {
    rename-command {GET MyGet} rename-command {flushall ""} rename-command {object obj} rename-command {multi mm}
}} {
    test {a renamed command answers to its new name alone, in any case} {
        r set k v
        assert_equal v [r MYGET k]
        assert_error {ERR unknown command 'get', with args beginning with: 'k' } {r get k}
        assert_error {ERR unknown command 'flushall', with args beginning with: } {r flushall}
        assert_match {*cmdstat_get:calls=1,*} [r info commandstats]
        assert_error {ERR wrong number of arguments for 'get' command} {r myget}
    }

    test {a renamed container's errors and help name it as it was called} {
        r set k v
        assert_equal embstr [r obj encoding k]
        assert_error {ERR unknown subcommand 'foo'. Try OBJ HELP.} {r obj foo}
        assert_error {ERR wrong number of arguments for 'object|encoding' command} {r obj encoding}
        assert_match {OBJ <subcommand> *} [lindex [r obj help] 0]
    }

    test {COMMAND GETKEYSANDFLAGS says what is done to each key} {
        foreach {words expected} {
            {set k v get} {{k {RW access update}}}
            {mset a 1 b 2} {{a {OW update}} {b {OW update}}}
            {lmove a b left right} {{a {RW access delete}} {b {RW insert}}}
            {xread streams a b 0 0} {{a {RO access}} {b {RO access}}}
        } {
            assert_equal $expected [r command getkeysandflags {*}$words] $words
        }
        assert_error {ERR Invalid command specified} {r command getkeysandflags nosuch a}
        assert_error {ERR The command has no key arguments} {r command getkeysandflags ping}
        assert_error {ERR Invalid number of arguments specified for command} {r command getkeysandflags set}
    }

    test {COMMAND LIST by category and by module, COMMAND HELP} {
        assert {"zdiff" in [r command list filterby aclcat sortedset]}
        assert {"get" ni [r command list filterby aclcat sortedset]}
        assert_equal {{} {}} [list [r command list filterby aclcat nosuch] [r command list filterby module nosuch]]
        set help [r command help]
        foreach name {COUNT LIST INFO DOCS GETKEYS GETKEYSANDFLAGS} {
            assert {[lsearch -glob $help $name*] > 0} $name
        }
    }

    test {COMMAND finds renamed commands by their new name, and none without one} {
        assert_equal {{} get} [list [lindex [r command info get] 0] [lindex [r command info myget] 0 0]]
        assert_equal object|freq [lindex [r command info obj|freq] 0 0]
        assert_equal {object {}} [list [lindex [r command docs obj] 0] [r command docs object]]
        assert_equal a [r command getkeys myget a]
        assert_error {ERR Invalid command specified} {r command getkeys get a}
        assert_equal {1 0} [list [llength [r command list filterby pattern get]] \
            [llength [r command list filterby pattern flushall]]]
        assert_equal [r command count] [llength [r command]]
        assert_equal OK [r acl dryrun default myget a]
        assert_error {ERR Command 'get' not found} {r acl dryrun default get a}
    }

    test {transactions, pipelines and the replication stream use the new names} {
        set repl [attach_to_replication_stream]
        assert_error {ERR EXEC without MULTI} {r exec}
        r mm
        r set k w
        r myget k
        assert_equal {OK w} [r exec]
        assert_replication_stream $repl {{select *} {set k w}}
        close_replication_stream $repl
    } {} {needs:repl}

    test {CONFIG REWRITE keeps the lines of rename-command and writes the default user} {
        r set k v
        r config rewrite
        set file [open [srv config_file]]
        set text [read $file]
        close $file
        assert_match "*rename-command GET MyGet\n*" $text
        assert_match "*\nuser default on nopass sanitize-payload ~\\* &\\* +@all\n*" $text
        r save
        restart_server 0 true false
        assert_equal 1 [r obj refcount k]
    }
}

start_server {tags {"introspection external:skip"} overrides {loglevel verbose}} {
    # Tcl ends a TLS session without saying so, which the reference logs as an error of reading.
    test {at level verbose the log tells of connections that come, and of those that their clients close} {
        set mark [log_mark]
        set c [valkey_client]
        $c client setname visitor
        $c ping
        wait_for_log $mark "*- Accepted 127.0.0.1:*"
        set id [$c client id]
        $c close
        wait_for_log $mark "*- Client closed connection id=$id addr=127.0.0.1:* cmd=client|id *"
        assert_equal PONG [exec {*}[valkeycli_unixsocket [srv unixsocket]] ping]
        wait_for_log $mark "*- Accepted connection to *"
    } undefined {peer-tls:skip}
}
