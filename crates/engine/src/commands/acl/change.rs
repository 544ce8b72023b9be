//! ACL SETUSER, DELUSER and GENPASS.

use crate::exec::{Args, Exec};
use crate::users;
use commandtable::{Error, Outcome};

/// `ACL SETUSER username [rule ...]`: makes or changes a user: all rules or none.
///
/// Reply: OK.
/// Errors: a name or a rule that is none.
/// Propagates: nothing: each server has users of its own.
/// Source: Valkey command reference, ACL SETUSER (since 6.0.0).
pub(super) fn set_user(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let channels = users::new_channels(&x.state.config);
    let set = x.state.users.set_user(args[2], &args[3..], channels);
    let change = set.map_err(|error| Error::Raw(error.text()))?;
    x.state.warn_of_deprecated(&change.deprecated);
    users::changed(x, &change.now);
    x.out.ok();
    Ok(())
}

/// `ACL DELUSER username [username ...]`: removes users and closes their connections.
///
/// Reply: how many there were.
/// Errors: one of them is `default`.
/// Propagates: nothing.
/// Source: Valkey command reference, ACL DELUSER (since 6.0.0).
pub(super) fn delete_users(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let gone = x.state.users.delete(&args[2..]);
    let gone = gone.map_err(|error| Error::built(error.to_string()))?;
    users::removed(x, &gone);
    x.out.uint(gone.len());
    Ok(())
}

/// `ACL GENPASS [bits]`: a password nobody can guess.
///
/// Reply: hexadecimal digits, as many as hold the bits.
/// Errors: a number of bits that is none, or out of range; syntax.
/// Propagates: nothing.
/// Source: Valkey command reference, ACL GENPASS (since 6.0.0).
pub(super) fn generate_password(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let bits = match args {
        [_, _] => None,
        [_, _, bits] => Some(*bits),
        _ => return Err(Error::subcommand_syntax(args)),
    };
    let bits = acl::password_bits(bits)?;
    let mut random = Vec::new();
    while random.len() < bits.div_ceil(8) as usize {
        random.extend_from_slice(&x.state.host.random_bytes());
    }
    x.out.bulk(acl::password_from(&random, bits).as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testing::{Driver, check};

    #[test]
    fn users_have_the_rights_of_now() {
        check(
            r#"
            > ACL SETUSER u on >x +@all ~a
            < OK
            1> AUTH u x
            < OK
            1> SET a 1
            < OK
            ~ SET a 1
            1> SET b 1
            < (error) NOPERM No permissions to access a key
            1> MULTI
            < OK
            1> GET a
            < QUEUED
            1> GET a
            < QUEUED
            > ACL SETUSER u -get
            < OK
            1> EXEC
            < 1) (error) NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is no longer allowed for the following reason: no permission to execute the command or subcommand
            < 2) (error) NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is no longer allowed for the following reason: no permission to execute the command or subcommand
            1> GET a
            < (error) NOPERM User u has no permissions to run the 'get' command
            > ACL DELUSER default
            < (error) ERR The 'default' user cannot be removed
            "#,
        );
    }

    #[test]
    fn who_removes_itself_may_do_nothing_in_the_rest_of_a_transaction() {
        let mut driver = Driver::new();
        driver.send(0, &[b"ACL", b"SETUSER", b"u", b"on", b"nopass", b"+@all"]);
        driver.send(1, &[b"AUTH", b"u", b""]);
        driver.send(1, &[b"MULTI"]);
        driver.send(1, &[b"ACL", b"DELUSER", b"u"]);
        driver.send(1, &[b"DBSIZE"]);
        let reply = driver.send(1, &[b"EXEC"]);
        assert!(reply.starts_with(b"*2\r\n:1\r\n-NOPERM ACLs rules changed"));
        assert!(driver.send(1, &[b"PING"]).is_empty(), "it is closed");
    }
}
