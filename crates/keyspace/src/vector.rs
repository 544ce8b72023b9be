//! Code that is compiled once more for the wider registers that most machines have.
//!
//! The code itself stays plain: it is inlined into functions for which the compiler may use more instructions, and the
//! machine is asked which of them it has.

/// Makes of a plain function, which has to be `#[inline(always)]`, one that runs it with the widest registers there are. Where
/// the compiler does not find what these are good for, another function that uses them comes behind the plain one.
macro_rules! widest {
    (
        $(#[$doc:meta])*
        $visible:vis fn $name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)? = $plain:path $(, avx512: $own:path)?
    ) => {
        $(#[$doc])*
        #[allow(unsafe_code, reason = "calls what needs instructions that the machine has been asked for")]
        $visible fn $name($($argument: $type),*) $(-> $result)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(
                    enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vpopcntdq,avx512bitalg,bmi2,popcnt"
                )]
                fn with_avx512($($argument: $type),*) $(-> $result)? {
                    $crate::vector::last_of!($plain $(, $own)?)($($argument),*)
                }
                #[target_feature(enable = "avx2,bmi2,popcnt")]
                fn with_avx2($($argument: $type),*) $(-> $result)? {
                    $plain($($argument),*)
                }
                match $crate::vector::width() {
                    // SAFETY: the machine has these instructions.
                    $crate::vector::Width::Avx512 => return unsafe { with_avx512($($argument),*) },
                    // SAFETY: the machine has these instructions.
                    $crate::vector::Width::Avx2 => return unsafe { with_avx2($($argument),*) },
                    $crate::vector::Width::Plain => {}
                }
            }
            $plain($($argument),*)
        }
    };
}
pub(crate) use widest;

/// The last one of one or two functions.
macro_rules! last_of {
    ($first:path) => {
        $first
    };
    ($first:path, $second:path) => {
        $second
    };
}
pub(crate) use last_of;

/// Which registers the machine has.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    Avx512,
    Avx2,
    Plain,
}

/// What this machine has: the standard library asks it once.
#[cfg(target_arch = "x86_64")]
pub(crate) fn width() -> Width {
    use std::arch::is_x86_feature_detected as has;
    if has!("avx512f")
        && has!("avx512bw")
        && has!("avx512vl")
        && has!("avx512vbmi")
        && has!("avx512vpopcntdq")
        && has!("avx512bitalg")
        && has!("bmi2")
        && has!("popcnt")
    {
        Width::Avx512
    } else if has!("avx2") && has!("bmi2") && has!("popcnt") {
        Width::Avx2
    } else {
        Width::Plain
    }
}
