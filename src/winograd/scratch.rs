//! Memory for intermediate results, kept from run to run.

use std::collections::TryReserveError;
use std::mem;
use std::sync::Mutex;

use super::pieces::Pieces;
use super::product::Sixteen;
use super::transform::{IN, KERNEL, OUT, PRODUCTS};
use super::vectors::{Eight, LANES};
use crate::lock::lock;

/// Numbers between which the distance in memory is a multiple of this many bytes compete for the same few lines of the
/// first-level cache.
const CACHE_PERIOD: usize = 4096;

/// Intermediate results of a piece.
#[derive(Default)]
pub struct Scratch {
    /// The transformed inputs: \[products, patches, input channels\].
    pub inputs: Vec<Eight>,
    /// Vectors from one product to the next.
    pub input_step: usize,
    /// The sums of products: \[products, patches\] of sixteen output channels.
    pub sums: Vec<Sixteen>,
    /// Pairs of vectors from one product to the next.
    pub sum_step: usize,
    /// Input rows of a row of patches, of eight channels.
    pub rows_in: Vec<Eight>,
    /// Output rows of a row of patches, of eight channels.
    pub rows_out: Vec<Eight>,
}

/// Scratch memory of the threads of a session.
#[derive(Default)]
pub struct ScratchPool(Mutex<Vec<Scratch>>);

/// Scratch memory that was taken from a pool, for several threads.
pub struct Taken<'a> {
    pool: &'a ScratchPool,
    free: Mutex<Vec<Scratch>>,
}

impl ScratchPool {
    /// Memory for the `pieces` of so many input channels on so many `threads`.
    pub fn take(
        &self,
        threads: usize,
        pieces: &Pieces,
        inputs: usize,
    ) -> Result<Taken<'_>, TryReserveError> {
        let mut free = mem::take(&mut *lock(&self.0));
        let missing = threads.max(1).saturating_sub(free.len());
        let prepared = free.try_reserve(missing).and_then(|()| {
            free.resize_with(free.len() + missing, Scratch::default);
            free.iter_mut()
                .try_for_each(|scratch| scratch.fit(pieces, inputs))
        });
        let taken = Taken {
            pool: self,
            free: Mutex::new(free),
        };
        prepared.map(|()| taken)
    }
}

impl Taken<'_> {
    /// Calls `work` with memory for one thread, unless all of it is in use.
    pub fn with(&self, work: impl FnOnce(&mut Scratch)) {
        let scratch = lock(&self.free).pop();
        if let Some(mut scratch) = scratch {
            work(&mut scratch);
            lock(&self.free).push(scratch);
        }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let free = mem::take(&mut *lock(&self.free));
        let mut pool = lock(&self.pool.0);
        // Another run may have made its own meanwhile.
        if pool.len() < free.len() {
            *pool = free;
        }
    }
}

impl Scratch {
    /// Makes room for any of the `pieces` of so many input channels.
    fn fit(&mut self, pieces: &Pieces, inputs: usize) -> Result<(), TryReserveError> {
        let (rows, columns) = pieces.largest();
        let patches = rows * columns;
        self.input_step = step::<Eight>(patches * inputs.div_ceil(LANES));
        self.sum_step = step::<Sixteen>(patches);
        let zero = [Eight::ZERO; 2];
        grow(&mut self.inputs, PRODUCTS * self.input_step, Eight::ZERO)?;
        grow(&mut self.sums, PRODUCTS * self.sum_step, zero)?;
        let across = columns * OUT;
        grow(&mut self.rows_in, IN * (across + KERNEL - 1), Eight::ZERO)?;
        grow(&mut self.rows_out, OUT * across, Eight::ZERO)
    }
}

/// A distance between products of at least so many values that is no multiple of [`CACHE_PERIOD`].
fn step<T>(values: usize) -> usize {
    let period = CACHE_PERIOD / size_of::<T>();
    // Three cache lines further in each period.
    values.next_multiple_of(period) + 192 / size_of::<T>()
}

fn grow<T: Copy>(values: &mut Vec<T>, length: usize, value: T) -> Result<(), TryReserveError> {
    if values.len() < length {
        values.try_reserve_exact(length - values.len())?;
        values.resize(length, value);
    }
    Ok(())
}

/// So many times `value`.
pub fn reserved<T: Copy>(length: usize, value: T) -> Result<Vec<T>, TryReserveError> {
    let mut values = Vec::new();
    grow(&mut values, length, value)?;
    Ok(values)
}
