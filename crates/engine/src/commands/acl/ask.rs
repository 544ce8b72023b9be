//! ACL DRYRUN and ACL WHY: what would be allowed.

use crate::exec::{Args, Exec};
use acl::User;
use commandtable::{CommandInfo, Error, Outcome};
use std::sync::Arc;

/// `ACL DRYRUN username command [arg ...]`: whether the user may run the command.
///
/// Reply: OK, or what is missing as a string.
/// Errors: no such user or command; a wrong number of arguments.
/// Propagates: nothing.
/// Source: Valkey command reference, ACL DRYRUN (since 7.0.0).
pub(super) fn dry_run(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let (user, command) = question(x, args)?;
    let line = &args[3..];
    match user.check(command, line) {
        Ok(()) => x.out.ok(),
        Err(denied) => x.out.bulk(&denied.dry_run(user.name(), command, line)),
    }
    Ok(())
}

/// `ACL WHY username command [arg ...]`: which rules of which selectors let the user run the command, or do not.
///
/// Reply: the verdict, then a line for every selector that was asked.
/// Errors: no such user or command; a wrong number of arguments.
/// Propagates: nothing.
/// Source: our own.
pub(super) fn why(x: &mut Exec<'_>, args: Args<'_>) -> Outcome {
    let (user, command) = question(x, args)?;
    let lines = user.why(command, &args[3..]).lines();
    x.out.array(lines.len());
    for line in lines {
        x.out.bulk(&line);
    }
    Ok(())
}

/// The user and the command that are asked about.
fn question(x: &Exec<'_>, args: Args<'_>) -> Result<(Arc<User>, &'static CommandInfo), Error> {
    let user = x.state.users.get(args[2]);
    let user = user.ok_or_else(|| Error::user_not_found(args[2]))?;
    let line = &args[3..];
    let command = crate::commands::introspect::lookup(&x.state.names, line)
        .filter(|command| x.state.registry.knows(command))
        .ok_or_else(|| Error::command_not_found(line[0]))?;
    if !command.accepts(line.len()) {
        return Err(Error::arity(command.full_name));
    }
    Ok((Arc::clone(user), command))
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn questions_are_answered() {
        check(
            r#"
            > ACL DRYRUN default GET
            < (error) ERR wrong number of arguments for 'get' command
            > ACL DRYRUN default GET k
            < OK
            > ACL DRYRUN default NOTHING
            < (error) ERR Command 'NOTHING' not found
            > ACL DRYRUN somebody GET k
            < (error) ERR User 'somebody' not found
            > ACL SETUSER u +get ~a
            < OK
            > ACL DRYRUN u GET b
            < "User u has no permissions to access the 'b' key"
            > ACL WHY u GET b
            < 1) "refused"
            < 2) "the root selector: allows the command 'get' by +get; refuses reading the key 'b': no pattern matches"
            "#,
        );
    }
}
