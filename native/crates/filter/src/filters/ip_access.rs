//! Allow and deny lists of networks. `deny` wins; an `allow` list that is not empty refuses everyone it does not cover.

use crate::error::Site;
use crate::networks::Networks;
use crate::{Reason, Request, Verdict};

#[derive(Debug)]
pub(crate) struct IpAccess {
    allow: Networks,
    deny: Networks,
}

impl IpAccess {
    pub(crate) fn compile(allow: &[String], deny: &[String], site: &mut Site<'_>) -> Option<Self> {
        let allow = compile_list(allow, "allow", site);
        let deny = compile_list(deny, "deny", site);
        Some(Self { allow: allow?, deny: deny? })
    }

    pub(crate) fn request(&self, request: &Request<'_>) -> Verdict {
        let allowed = self.allow.is_empty() || self.allow.contains(request.client);
        if allowed && !self.deny.contains(request.client) {
            Verdict::Continue
        } else {
            Reason::IpDenied.into()
        }
    }
}

pub(crate) fn compile_list(networks: &[String], key: &str, site: &mut Site<'_>) -> Option<Networks> {
    let note = |errors: Vec<(usize, String)>| {
        for (index, problem) in errors {
            site.error(format!("{key}[{index}]"), problem);
        }
    };
    Networks::parse(networks).map_err(note).ok()
}
