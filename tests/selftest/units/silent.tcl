# Fixture: a slow test that may be, then silence outside of tests.

test {slow, but allowed} {
    after 1800
    puts "binary \x01 text"
} {} {timeout:30}

after 60000
