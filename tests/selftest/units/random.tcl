# Fixture: prints random data.

test {one} {
    puts "random one [randomInt 1000000000] [randstring 8 8 simplealpha]"
}
test {two} {
    puts "random two [randomInt 1000000000]"
}
