//! Landlock: nothing in the file system, no TCP or UDP, no signals to others. No rule ever allows anything.

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, LandlockStatus, Ruleset, RulesetAttr, RulesetError,
    RulesetStatus, Scope,
};

/// The latest interface that the crate knows. The kernel's own may be older: then what it has is used.
const LATEST: ABI = ABI::V10;

/// Applies it. The version of the interface that is in force, 0 for none.
pub(super) fn apply() -> u8 {
    restrict().unwrap_or_default()
}

fn restrict() -> Result<u8, RulesetError> {
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(LATEST))?
        .handle_access(AccessNet::from_all(LATEST))?
        .scope(Scope::from_all(LATEST))?
        .create()?
        .restrict_self()?;
    Ok(match (status.ruleset, status.landlock) {
        (RulesetStatus::NotEnforced, _) => 0,
        (_, LandlockStatus::Available { effective_abi, .. }) => effective_abi as u8,
        _ => 0,
    })
}
