# A replica's life: first synchronisation, the stream, a lost link, a new role.

start_server {tags {"repl external:skip"} overrides {save ""}} {
    set primary [srv client]
    set primary_host [srv host]
    set primary_port [srv port]

    start_server {overrides {save ""}} {
        # It is a replica, if it is not one already.
        proc follow {} {
            r replicaof [srv -1 host] [srv -1 port]
            wait_for_sync r
            wait_replica_online [srv -1 client]
        }

        test {a full synchronisation copies the data of every type} {
            createComplexDataset $primary 500
            assert_equal master [s role]
            follow
            wait_for_ofs_sync r $primary
            assert_equal [debug_digest -1] [debug_digest]
            assert_equal slave [s role]
            assert_equal 1 [s -1 sync_full]
        } {} {needs:debug}

        test {writes arrive, in order} {
            follow
            for {set i 0} {$i < 100} {incr i} {
                $primary rpush order $i
            }
            $primary set last yes
            wait_for_value_to_propegate_to_replica $primary [srv client] last
            assert_equal [$primary lrange order 0 -1] [r lrange order 0 -1]
        }

        test {a replica refuses writes, and knows its primary} {
            follow
            assert_error {READONLY You can't write against a read only replica.} {r set x 1}
            assert_equal $primary_port [s master_port]
            assert_equal [list slave $primary_host $primary_port connected] [lrange [r role] 0 3]
            assert_match "*slave0:ip=127.0.0.1,port=[srv port],state=online*" [$primary info replication]
        }

        test {WAIT counts the replicas that have the write} {
            follow
            $primary set waited 1
            assert_equal 1 [$primary wait 1 5000]
            assert_error {ERR WAIT cannot be used with replica instances*} {r wait 1 0}
        }

        test {after a lost link the missing part is enough} {
            follow
            set partial [s -1 sync_partial_ok]
            $primary client kill type replica
            $primary set after-link 1
            wait_for_condition 100 50 {[s -1 sync_partial_ok] == $partial + 1} else {
                fail "no partial resynchronisation"
            }
            wait_for_value_to_propegate_to_replica $primary [srv client] after-link
            assert_equal 1 [s -1 sync_full]
        }

        test {REPLICAOF NO ONE makes it a primary with the data it has} {
            follow
            $primary set after-link 1
            wait_for_ofs_sync r $primary
            set replid [s -1 master_replid]
            r replicaof no one
            assert_equal master [s role]
            assert_equal $replid [s master_replid2]
            assert_not_equal $replid [s master_replid]
            assert_equal 1 [r get after-link]
            assert_equal OK [r set own 1]
        }

        test {SLAVEOF is the old name of REPLICAOF} {
            r replicaof no one
            assert_equal OK [r slaveof [srv -1 host] [srv -1 port]]
            wait_for_sync r
            assert_equal {OK Already connected to specified master} [r slaveof [srv -1 host] [srv -1 port]]
            assert_error {ERR Invalid master port} {r slaveof localhost x}
            assert_equal OK [r slaveof no one]
            assert_equal master [s role]
        }
    }
}
