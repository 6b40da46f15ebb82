//! What takes a grant back whose reply came too late.

use super::{CHARGE, Reply, SLOT, UNDO, charge, charge::Span};
use crate::{
    limit::{Charge, Request, Slot},
    redis::Call,
};

/// The parts of a request, until its reply says which of them were granted.
pub(super) struct Undo {
    charges: Vec<Charge>,
    slots: Vec<Slot>,
    holder: String,
}

impl Undo {
    /// For a request that may change something.
    pub(super) fn of(request: &Request<'_>) -> Option<Self> {
        let of = || Self {
            charges: request.charges.to_vec(),
            slots: request.slots.to_vec(),
            holder: request.holder.id.clone(),
        };
        (!request.trial).then(of)
    }

    /// The call that gives back what was granted, if anything was.
    pub(super) fn of_reply(self, reply: &Reply) -> Option<Call<'static>> {
        if reply.code != Reply::GRANTED {
            return None;
        }
        let charged = |(charge, wait): &(&Charge, &i64)| charge.enforce || **wait == 0;
        let charged: Vec<_> = self.charges.iter().zip(&reply.waits).filter(charged).map(|(charge, _)| charge).collect();
        let mut script = UNDO.prepare_invoke();
        script.arg(charged.len()).arg(self.holder);
        for charge in charged {
            let cost = Span::of(charge.cost, &charge.rate);
            script.key(format!("{CHARGE}{}", charge.key));
            script.arg(charge::denominator(&charge.rate)).arg(cost.whole).arg(cost.part);
        }
        let taken = self.slots.iter().zip(&reply.full).filter(|(_, full)| reply.wait == 0 && !**full);
        for (slot, _) in taken {
            script.key(format!("{SLOT}{}", slot.key));
        }
        Some(Call::Script(script))
    }
}
