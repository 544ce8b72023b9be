# MODULE as far as there is no module loaded.

start_server {tags {"modules"}} {
    test {MODULE LIST is empty, and says how it is to be called} {
        assert_equal {} [r module list]
        assert_error {ERR wrong number of arguments for 'module|list' command} {r module list x}
        assert_error {ERR wrong number of arguments for 'module' command} {r module}
        assert_error {ERR unknown subcommand 'foo'. Try MODULE HELP.} {r module foo}
        assert_match "MODULE <subcommand>*" [lindex [r module help] 0]
    }
}

start_server {tags {"modules external:skip"} overrides {enable-module-command no}} {
    test {MODULE LOAD and its like need a permission} {
        foreach words {{load x} {loadex x} {unload x}} {
            assert_error {ERR MODULE command not allowed. If the enable-module-command option is set to "local"*} {r module {*}$words}
        }
        assert_error {ERR wrong number of arguments for 'module|load' command} {r module load}
    }
}
