# Places: adding, looking up, searching by circle and box, storing, errors, what replicas and watchers see.

start_server {tags {"geo"}} {
    foreach {encoding entries} {listpack 128 skiplist 0} {
        r config set zset-max-listpack-entries $entries

        # Makes key anew from longitudes, latitudes and members.
        proc make {key args} {
            r del $key
            r geoadd $key {*}$args
        }

        # Four towns around Palermo.
        proc make_sicily {} {
            make k 13.361389 38.115556 Palermo 15.087269 37.502669 Catania 12.758489 38.788135 edge1 \
                17.241510 38.788135 edge2
        }

        test "GEOADD counts new members, with CH moved ones too ($encoding)" {
            r del k
            assert_equal {2 1 0} [list [r geoadd k 1 2 a 3 4 b] [r geoadd k 9 9 a 5 6 c] [r geoadd k 9 9 a]]
            assert_equal {1 0 2} [list [r geoadd k ch 8 8 a 3 4 b] [r geoadd k CH 8 8 a] [r geoadd k ch 7 7 a 1 1 d]]
            assert_encoding $encoding k
            r zrange k 0 -1
        } {d b c a}

        test "GEOADD NX and XX ($encoding)" {
            make k 1 1 a
            assert_equal {1 0 1 0} [list [r geoadd k nx 2 2 a 3 3 b] [r geoadd k xx 4 4 a 5 5 c] \
                [r geoadd k xx ch 5 5 a] [r geoadd none xx 1 1 a]]
            assert_equal {{4.99999970197677612 4.99999983043607443}} [r geopos k a]
            assert_equal 0 [r exists none]
            r zcard k
        } {2}

        test "scores, places and texts ($encoding)" {
            make_sicily
            assert_equal {3479099956230698 3479447370796909} [r zmscore k Palermo Catania]
            assert_equal {sqc8b49rny0 {} sqdtr74hyu0} [r geohash k Palermo nobody Catania]
            r geopos k Palermo nobody Catania
        } {{13.36138933897018433 38.11555639549629859} {} {15.08726745843887329 37.50266842333162032}}

        test "any score is a place ($encoding)" {
            r del k
            r zadd k -1 minus inf inf -inf below 0.7 part 1e19 big
            assert_equal {bp05b5048p0 00bh0hbj200 00bh0hbj200 00bh0hbj200 bp05b5048p0} \
                [r geohash k minus inf below part big]
            r geopos k minus inf below
        } {{180 85.0511287799999991} {-179.99999731779098511 -85.05112751263942528} {180 -85.05112751263942528}}

        test "GEODIST in all units ($encoding)" {
            make_sicily
            assert_equal {166274.1516 166.2742 103.3182 545518.8700 0.0000} [list [r geodist k Palermo Catania] \
                [r geodist k Palermo Catania KM] [r geodist k Palermo Catania mi] \
                [r geodist k Catania Palermo Ft] [r geodist k edge1 edge1 m]]
            list [r geodist k Palermo nobody] [r geodist none a b]
        } {{} {}}

        test "a circle and a box, in both orders ($encoding)" {
            make_sicily
            assert_equal {Catania Palermo} [r geosearch k fromlonlat 15 37 byradius 200 km asc]
            assert_equal {edge1 edge2 Palermo Catania} [r geosearch k fromlonlat 15 37 bybox 400 400 km desc]
            assert_equal {Palermo edge1} [r geosearch k frommember Palermo byradius 100 km asc]
            assert_equal {Palermo} [r geosearch k frommember Palermo bybox 100 100 km]
            assert_equal {} [r geosearch k fromlonlat 0 0 byradius 1 km]
            assert_equal {Palermo} [r geosearch k frommember Palermo byradius 0 m]
            r georadius k 15 37 200 km desc
        } {Palermo Catania}

        test "what is asked for comes with a member ($encoding)" {
            make_sicily
            assert_equal {{Catania 56.4413} {Palermo 190.4424}} [r georadius k 15 37 200 km withdist asc]
            assert_equal {{Palermo 3479099956230698}} [r georadiusbymember k Palermo 1 m withhash]
            r geosearch k fromlonlat 15 37 byradius 100 km withcoord withhash withdist
        } {{Catania 56.4413 3479447370796909 {15.08726745843887329 37.50266842333162032}}}

        test "COUNT takes the nearest, with ANY the first found ($encoding)" {
            make_sicily
            assert_equal {Catania Palermo} [r georadius k 15 37 500 km count 2]
            assert_equal {edge1} [r georadius k 15 37 500 km count 1 desc]
            assert_equal 3 [llength [r geosearch k fromlonlat 15 37 byradius 500 km count 3 any]]
            assert_equal 4 [llength [r geosearch k fromlonlat 15 37 byradius 500 km any count 9]]
            r georadiusbymember_ro k Palermo 500 km count 3 asc
        } {Palermo edge1 Catania}

        test "unsorted results come cell by cell ($encoding)" {
            r del k
            foreach {dx dy name} {0 0 c 0 1 n 0 -1 s 1 0 e -1 0 w 1 1 ne -1 1 nw 1 -1 se -1 -1 sw} {
                r geoadd k [expr {11.3 + $dx * 0.7}] [expr {48 + $dy * 0.7}] $name
            }
            r geosearch k fromlonlat 11.3 48 byradius 100 km
        } {c e n ne s se w nw sw}

        test "across the date line and near the poles ($encoding)" {
            make k 179.9 0 east -179.9 0 west 0 85 n1 179.999 85 n2 0 -85 s1 179.99 85 n3
            assert_equal {east west} [lsort [r geosearch k fromlonlat 179.95 0 byradius 50 km]]
            assert_equal {n2 n3} [r geosearch k fromlonlat 180 85 byradius 10 km asc]
            assert_equal {n2 n3 n1} [r geosearch k frommember n2 byradius 2000 km asc]
            assert_equal 6 [llength [r geosearch k frommember west byradius 30000 km]]
            lsort [r geosearch k fromlonlat 0 0 bybox 100000 100000 km]
        } {east n1 n2 n3 s1 west}

        test "all searches agree with looking at each member ($encoding)" {
            r del k
            set names {}
            # Away from the poles and the date line, where the cells of the grid miss some of a big circle.
            for {set n 0} {$n < 60} {incr n} {
                r geoadd k [expr {rand() * 40 - 20}] [expr {rand() * 40 - 20}] m$n
                lappend names m$n
            }
            foreach from $names {
                set radius [expr {10 ** (rand() * 3.7)}]
                set near {}
                foreach name $names {
                    if {[r geodist k $from $name km] < $radius} {
                        lappend near $name
                    }
                }
                assert_equal [lsort $near] [lsort [r geosearch k frommember $from byradius $radius km]] "$from $radius"
            }
        }

        test "STORE keeps places, STOREDIST distances ($encoding)" {
            make_sicily
            r set d{t} x ex 1000
            r rename k k{t}
            assert_equal 2 [r georadius k{t} 15 37 200 km store d{t}]
            assert_equal {Palermo 3479099956230698 Catania 3479447370796909} [r zrange d{t} 0 -1 withscores]
            assert_equal -1 [r ttl d{t}]
            assert_equal 1 [r georadiusbymember k{t} Palermo 200 km storedist d{t} count 1 desc]
            assert_equal {Catania 166.27415156960032} [r zrange d{t} 0 -1 withscores]
            assert_equal 2 [r geosearchstore d{t} k{t} frommember Palermo bybox 200 200 km]
            assert_equal {Palermo 3479099956230698 edge1 3479273021651468} [r zrange d{t} 0 -1 withscores]
            assert_encoding $encoding d{t}
            assert_equal 2 [r geosearchstore d{t} k{t} fromlonlat 15 37 byradius 200 km storedist]
            assert_equal {Catania 56.4412578701582 Palermo 190.44242984775784} [r zrange d{t} 0 -1 withscores]
            assert_equal 0 [r geosearchstore d{t} k{t} fromlonlat 0 0 byradius 1 m]
            assert_equal 0 [r exists d{t}]
            r set d{t} x
            assert_equal 0 [r georadius none{t} 0 0 1 m storedist d{t}]
            r exists d{t}
        } {0}
    }

    test {missing keys} {
        r del none
        list [r geopos none a] [r geohash none a b] [r geosearch none frommember a byradius 1 m] \
            [r georadius none 1 1 1 m] [r georadiusbymember none a x y] [r geopos none] [r geohash none]
    } {{{}} {{} {}} {} {} {} {} {}}

    test {errors, in their order} {
        r del k
        r set str x
        r geoadd k 1 1 a
        foreach {command message} {
            {geoadd k 181 x a} {ERR value is not a valid float}
            {geoadd k 181 1 a} {ERR invalid longitude,latitude pair 181.000000,1.000000}
            {geoadd k 1 -85.06 a} {ERR invalid longitude,latitude pair 1.000000,-85.060000}
            {geoadd k 1 1 b 2 2} {ERR syntax error}
            {geoadd k nx xx 500 1 b} {ERR syntax error}
            {geoadd k nx nx nx} {ERR syntax error}
            {geoadd k incr 1 1 b} {ERR syntax error}
            {geoadd str 1 x a} {ERR value is not a valid float}
            {geoadd str 1 1 a} {WRONGTYPE*}
            {geodist str a b parsec} {ERR unsupported unit provided. please use M, KM, FT, MI}
            {geodist k a b m m} {ERR syntax error}
            {geodist str a b} {WRONGTYPE*}
            {geopos str a} {WRONGTYPE*}
            {geohash str a} {WRONGTYPE*}
            {georadius str x y z parsec} {WRONGTYPE*}
            {georadius none x 1 1 m} {ERR value is not a valid float}
            {georadius none 181 1 1 m} {ERR invalid longitude,latitude pair 181.000000,1.000000}
            {georadius none 1 1 x parsec} {ERR need numeric radius}
            {georadius none 1 1 -1 parsec} {ERR radius cannot be negative}
            {georadius none 1 1 1 parsec} {ERR unsupported unit provided. please use M, KM, FT, MI}
            {georadius none 1 1 1 m count} {ERR syntax error}
            {georadius none 1 1 1 m count x} {ERR value is not an integer or out of range}
            {georadius none 1 1 1 m count 0} {ERR COUNT must be > 0}
            {georadius none 1 1 1 m any} {ERR the ANY argument requires COUNT argument}
            {georadius none 1 1 1 m store d withdist} {ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options}
            {georadius none 1 1 1 m byradius 1 m} {ERR syntax error}
            {georadius_ro none 1 1 1 m store d} {ERR syntax error}
            {georadiusbymember_ro none a 1 m storedist d} {ERR syntax error}
            {georadiusbymember k nobody x parsec} {ERR could not decode requested zset member}
            {georadiusbymember k a x parsec} {ERR need numeric radius}
            {geosearch k frommember nobody byradius 1 m} {ERR could not decode requested zset member}
            {geosearch k frommember a fromlonlat 1 1 byradius 1 m} {ERR syntax error}
            {geosearch k frommember a byradius 1 m bybox 1 1 m} {ERR syntax error}
            {geosearch k frommember a bybox x y m} {ERR need numeric width}
            {geosearch k frommember a bybox 1 y m} {ERR need numeric height}
            {geosearch k frommember a bybox 1 -1 m} {ERR height or width cannot be negative}
            {geosearch k frommember a byradius 1 m storedist} {ERR syntax error}
            {GEOsearch k byradius 1 m asc asc asc} {ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for GEOsearch}
            {geosearchstore d k frommember a asc asc asc} {ERR exactly one of BYRADIUS and BYBOX can be specified for geosearchstore}
            {geosearchstore d k frommember a byradius 1 m withhash any} {ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options}
        } {
            assert_error $message {r {*}$command}
        }
        list [r zcard k] [r exists d]
    } {1 0} {cluster:skip}

    test {places are doubles in RESP3, distances texts} {
        r del k
        r geoadd k 13.361389 38.115556 a
        set c [valkey_deferring_client]
        $c hello 3
        $c read
        foreach {command reply} {
            {geopos k a b} "*2|*2|,13.36138933897018433|,38.11555639549629859|_|"
            {geodist k a a} "$6|0.0000|"
            {geodist k a b} "_|"
            {geosearch k frommember a byradius 1 m withdist withcoord withhash}
            "*1|*4|$1|a|$6|0.0000|:3479099956230698|*2|,13.36138933897018433|,38.11555639549629859|"
        } {
            set reply [string map {| \r\n} $reply]
            $c {*}$command
            assert_equal $reply [$c rawread [string length $reply]] $command
        }
        $c close
    }

    test {GEOADD travels as ZADD, what is stored as it came} {
        r del k d
        set repl [attach_to_replication_stream]
        r GeoAdd k CH 13.361389 38.115556 a 15.087269 37.502669 b
        r geoadd k NX 1 1 a
        r georadius k 15 37 200 km
        r georadius k 15 37 200 km store d
        r geosearchstore d k frommember a byradius 1 m
        r georadius k 0 0 1 m store d
        r georadius k 0 0 1 m store d
        r set last 1
        assert_replication_stream $repl {
            {select *}
            {zadd k CH 3479099956230698 a 3479447370796909 b}
            {georadius k 15 37 200 km store d}
            {geosearchstore d k frommember a byradius 1 m}
            {georadius k 0 0 1 m store d}
            {set last 1}
        }
        close_replication_stream $repl
    } {} {needs:repl}

    test {events of places} {
        r del k d
        config_set notify-keyspace-events Kgz
        set c [valkey_deferring_client]
        $c psubscribe __keyspace@*__:*
        $c read
        r geoadd k 1 1 a 2 2 b
        r geoadd k 1 1 a
        r geosearchstore d k frommember a byradius 1 m
        r georadius k 1 1 1 m store d
        r geosearchstore d k fromlonlat 50 50 byradius 1 m
        r geosearchstore d k fromlonlat 50 50 byradius 1 m
        r del k
        set events {}
        foreach _ {1 2 3 4 5} {
            lappend events [lindex [$c read] 3]
        }
        $c close
        config_set notify-keyspace-events ""
        set events
    } {zadd geosearchstore georadiusstore del del} {cluster:skip}
}
