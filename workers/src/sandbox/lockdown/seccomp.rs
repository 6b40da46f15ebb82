//! The system call filter: what reading standard input, working in memory and writing standard output needs, and
//! nothing else. Any other call ends the process.
//!
//! Reads and writes are bound to the standard streams, so that a file descriptor that was inherited by mistake is of
//! no use; memory can be neither made executable nor mapped from a file.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// What is allowed whatever its arguments are.
const ALLOWED: [i64; 15] = [
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_getrandom,
    libc::SYS_clock_gettime,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_exit_group,
];

/// Puts the filter in force for the calling thread, and with it `PR_SET_NO_NEW_PRIVS`.
pub(super) fn apply() -> Result<(), seccompiler::Error> {
    apply_filter(&program(std::process::id())?)
}

fn program(pid: u32) -> Result<BpfProgram, BackendError> {
    let arch = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules(pid)?, SeccompAction::KillProcess, SeccompAction::Allow, arch)?.try_into()
}

fn rules(pid: u32) -> Result<Rules, BackendError> {
    let mut rules: Rules = ALLOWED.into_iter().map(|call| (call, Vec::new())).collect();
    let equals = |index, value| argument(index, SeccompCmpOp::Eq, value);
    let mut when = |call, conditions: Vec<SeccompCondition>| {
        rules.entry(call).or_default().push(SeccompRule::new(conditions)?);
        Ok::<(), BackendError>(())
    };
    when(libc::SYS_read, vec![equals(0, 0)?])?;
    when(libc::SYS_write, vec![equals(0, 1)?])?;
    when(libc::SYS_write, vec![equals(0, 2)?])?;
    let not_executable = || masked(2, libc::PROT_EXEC, 0);
    when(libc::SYS_mmap, vec![not_executable()?, masked(3, libc::MAP_ANONYMOUS, libc::MAP_ANONYMOUS)?])?;
    when(libc::SYS_mprotect, vec![not_executable()?])?;
    // How a process aborts: a signal to itself.
    when(libc::SYS_tgkill, vec![equals(0, pid.into())?, equals(2, libc::SIGABRT.unsigned_abs().into())?])?;
    Ok(rules)
}

/// The lower half of an argument: all that the kernel reads of a file descriptor, a flag or a signal.
fn argument(index: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(index, SeccompCmpArgLen::Dword, operator, value)
}

fn masked(index: u8, mask: i32, value: i32) -> Result<SeccompCondition, BackendError> {
    argument(index, SeccompCmpOp::MaskedEq(mask.unsigned_abs().into()), value.unsigned_abs().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PID: u32 = 4242;
    const ALLOW: u32 = 0x7fff_0000;
    const KILL_PROCESS: u32 = 0x8000_0000;

    /// What the kernel would say to a system call: runs the compiled program on its `struct seccomp_data`.
    fn verdict(program: &BpfProgram, call: i64, arguments: [u64; 6]) -> u32 {
        let arch: u32 = if cfg!(target_arch = "aarch64") { 0xc000_00b7 } else { 0xc000_003e };
        let number = u32::try_from(call).unwrap();
        let head = [number.to_le_bytes(), arch.to_le_bytes()].concat();
        let data = [head, vec![0; 8], arguments.map(u64::to_le_bytes).concat()].concat();
        let (mut at, mut accumulator) = (0, 0_u32);
        loop {
            let step = &program[at];
            at += 1;
            let jump = |is_true: bool| usize::from(if is_true { step.jt } else { step.jf });
            // linux/bpf_common.h: class, size or operation, source.
            match step.code {
                0x20 => accumulator = u32::from_le_bytes(data[step.k as usize..][..4].try_into().unwrap()),
                0x54 => accumulator &= step.k,
                0x05 => at += step.k as usize,
                0x15 => at += jump(accumulator == step.k),
                0x25 => at += jump(accumulator > step.k),
                0x35 => at += jump(accumulator >= step.k),
                0x06 => return step.k,
                other => panic!("an instruction that this test does not know: {other:#x}"),
            }
        }
    }

    #[test]
    fn of_all_system_calls_only_those_that_computing_needs_are_allowed() {
        let program = program(PID).unwrap();
        let conditional = [libc::SYS_read, libc::SYS_write, libc::SYS_mmap, libc::SYS_mprotect, libc::SYS_tgkill];
        for call in 0..2_000 {
            // Arguments that no condition takes: no standard stream, executable, another process.
            let said = verdict(&program, call, [9, 9, 7, 0, 9, 9]);
            let expected = if ALLOWED.contains(&call) { ALLOW } else { KILL_PROCESS };
            assert_eq!(said, expected, "system call {call}");
        }
        // The same numbers by the x32 interface (bit 30).
        for call in ALLOWED.into_iter().chain(conditional) {
            assert_eq!(verdict(&program, call | 0x4000_0000, [0; 6]), KILL_PROCESS, "x32 {call}");
        }
    }

    #[test]
    fn arguments_are_held_to_the_standard_streams_and_to_plain_memory() {
        let program = program(PID).unwrap();
        let (exec, file, anonymous) = (4, 0x02, 0x22);
        for (call, arguments, is_allowed) in [
            (libc::SYS_read, [0, 0, 0, 0, 0, 0], true),
            (libc::SYS_read, [1, 0, 0, 0, 0, 0], false),
            (libc::SYS_read, [3, 0, 0, 0, 0, 0], false),
            (libc::SYS_write, [0, 0, 0, 0, 0, 0], false),
            (libc::SYS_write, [1, 0, 0, 0, 0, 0], true),
            (libc::SYS_write, [2, 0, 0, 0, 0, 0], true),
            (libc::SYS_write, [3, 0, 0, 0, 0, 0], false),
            (libc::SYS_mmap, [0, 4096, 3, anonymous, 0, 0], true),
            (libc::SYS_mmap, [0, 4096, 3, file, 3, 0], false),
            (libc::SYS_mmap, [0, 4096, 3 | exec, anonymous, 0, 0], false),
            (libc::SYS_mprotect, [0, 4096, 3, 0, 0, 0], true),
            (libc::SYS_mprotect, [0, 4096, exec, 0, 0, 0], false),
            (libc::SYS_tgkill, [PID.into(), 9, 6, 0, 0, 0], true),
            (libc::SYS_tgkill, [PID.into(), 9, 9, 0, 0, 0], false),
            (libc::SYS_tgkill, [1, 1, 6, 0, 0, 0], false),
        ] {
            let expected = if is_allowed { ALLOW } else { KILL_PROCESS };
            assert_eq!(verdict(&program, call, arguments), expected, "{call} {arguments:?}");
        }
    }
}
