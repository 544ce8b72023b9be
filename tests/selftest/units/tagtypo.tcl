# Fixture: an unknown tag.

start_server {tags {"external:skpi"}} {
    test {never run} {
        r ping
    }
}
