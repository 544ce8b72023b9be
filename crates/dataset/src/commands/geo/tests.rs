//! Places through the dispatcher.

use engine::testing::check;

#[test]
fn geoadd_travels_as_zadd() {
    check(
        "
        > GEOADD Sicily ch 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
        < (integer) 2
        ~ zadd Sicily ch 3479099956230698 Palermo 3479447370796909 Catania
        > GEOADD Sicily NX 1 1 Palermo
        < (integer) 0
        > GEOADD Sicily NX XX 200 1 Palermo
        < (error) ERR syntax error
        > GEOADD Sicily 200 1 Palermo
        < (error) ERR invalid longitude,latitude pair 200.000000,1.000000
        > GEOADD Sicily NX NX NX
        < (error) ERR syntax error
        > GEODIST Sicily Palermo Catania
        < \"166274.1516\"
        > GEODIST Sicily Palermo Nowhere MI
        < (nil)
        > GEOHASH Sicily Palermo Nowhere
        < 1) \"sqc8b49rny0\"
        < 2) (nil)
        ",
    );
}

#[test]
fn searches_reply_or_store() {
    check(
        "
        > GEOADD Sicily 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
        < (integer) 2
        ~ zadd Sicily 3479099956230698 Palermo 3479447370796909 Catania
        > GEOSEARCH Sicily FROMLONLAT 15 37 BYRADIUS 200 km DESC
        < 1) \"Palermo\"
        < 2) \"Catania\"
        > GEORADIUS Sicily 15 37 200 km COUNT 1
        < 1) \"Catania\"
        > GEORADIUSBYMEMBER Sicily Palermo 200 km STOREDIST d COUNT 1 DESC
        < (integer) 1
        ~ GEORADIUSBYMEMBER Sicily Palermo 200 km STOREDIST d COUNT 1 DESC
        > ZSCORE d Catania
        < \"166.27415156960032\"
        > GEOSEARCHSTORE d Sicily FROMLONLAT 0 0 BYBOX 1 1 m
        < (integer) 0
        ~ GEOSEARCHSTORE d Sicily FROMLONLAT 0 0 BYBOX 1 1 m
        > GEOSEARCHSTORE d Sicily FROMLONLAT 0 0 BYBOX 1 1 m
        < (integer) 0
        > GEORADIUS_RO Sicily 15 37 200 km STORE d
        < (error) ERR syntax error
        ",
    );
}
