# Fixture: an assertion fails, the block goes on.

start_server {tags {"string"}} {
    test {fails} {
        r set x 1
        assert_equal {a b c d e f g h i j k l m n o p q r s t u v w x y z} {a b c D e f g h i j k l m n o p q r s t u v w x y z aa}
    }
    test {wrong value} {
        r get x
    } {2*}
    test {goes on} {
        r get x
    } {1}
}
