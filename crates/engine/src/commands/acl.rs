//! ACL: users and what they may do. The rules themselves are the business of the crate `acl`.

mod ask;
mod change;
mod file;
mod help;
mod log;
mod show;

use super::Family;

pub(super) static COMMANDS: Family = &[
    ("acl|whoami", show::whoami),
    ("acl|users", show::users),
    ("acl|list", show::list),
    ("acl|cat", show::cat),
    ("acl|getuser", show::get_user),
    ("acl|genpass", change::generate_password),
    ("acl|setuser", change::set_user),
    ("acl|deluser", change::delete_users),
    ("acl|dryrun", ask::dry_run),
    ("acl|why", ask::why),
    ("acl|log", log::log),
    ("acl|save", file::save),
    ("acl|load", file::load),
    ("acl|help", help::help),
];
