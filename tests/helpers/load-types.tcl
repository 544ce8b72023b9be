# Random writes of all types: HOST PORT DB OPS SEED

source [file join [file dirname [file normalize [info script]]] common.tcl]

proc type_load {host port db ops seed} {
    createComplexDataset [helper_client $host $port $db $seed] $ops useexpire
}

helper_main {type_load {*}$argv}
