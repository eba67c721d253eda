//! Memory for intermediate results, kept from run to run.

use std::collections::TryReserveError;
use std::mem;
use std::sync::Mutex;

use super::patches::Arithmetic;
use super::pieces::Pieces;
use super::sums::Sixteen;
use super::transform::PRODUCTS;
use super::vectors::Vector;
use crate::lock::lock;

/// Numbers between which the distance in memory is a multiple of this many bytes compete for the same few lines of the
/// first-level cache.
const CACHE_PERIOD: usize = 4096;

/// Intermediate results of a piece.
pub struct Scratch<A: Arithmetic> {
    /// The transformed inputs: \[products, vectors of input channels, patches\].
    pub inputs: Vec<A::Vector>,
    /// Vectors from one product to the next.
    pub input_step: usize,
    /// The sums of products: \[products, patches\] of sixteen output channels.
    pub sums: Vec<Sixteen<A::Vector>>,
    /// Pairs of vectors from one product to the next.
    pub sum_step: usize,
    /// Input rows of a row of patches.
    pub rows_in: Vec<A::Pixel>,
    /// Output rows of a row of patches.
    pub rows_out: Vec<A::Pixel>,
}

/// Scratch memory of the threads of a session.
pub struct ScratchPool<A: Arithmetic>(Mutex<Vec<Scratch<A>>>);

/// Scratch memory that was taken from a pool, for several threads.
pub struct Taken<'a, A: Arithmetic> {
    pool: &'a ScratchPool<A>,
    free: Mutex<Vec<Scratch<A>>>,
}

// Derived, these would ask for the default of an arithmetic.
impl<A: Arithmetic> Default for Scratch<A> {
    fn default() -> Self {
        Scratch {
            inputs: Vec::new(),
            input_step: 0,
            sums: Vec::new(),
            sum_step: 0,
            rows_in: Vec::new(),
            rows_out: Vec::new(),
        }
    }
}

impl<A: Arithmetic> Default for ScratchPool<A> {
    fn default() -> Self {
        ScratchPool(Mutex::default())
    }
}

impl<A: Arithmetic> ScratchPool<A> {
    /// Memory for the `pieces` with so many `vectors` of input channels on so many `threads`.
    pub fn take(
        &self,
        threads: usize,
        pieces: &Pieces,
        vectors: usize,
    ) -> Result<Taken<'_, A>, TryReserveError> {
        let mut free = mem::take(&mut *lock(&self.0));
        let missing = threads.max(1).saturating_sub(free.len());
        let prepared = free.try_reserve(missing).and_then(|()| {
            free.resize_with(free.len() + missing, Scratch::default);
            free.iter_mut()
                .try_for_each(|scratch| scratch.fit(pieces, vectors))
        });
        let taken = Taken {
            pool: self,
            free: Mutex::new(free),
        };
        prepared.map(|()| taken)
    }
}

impl<A: Arithmetic> Taken<'_, A> {
    /// Calls `work` with memory for one thread, unless all of it is in use.
    pub fn with(&self, work: impl FnOnce(&mut Scratch<A>)) {
        let scratch = lock(&self.free).pop();
        if let Some(mut scratch) = scratch {
            work(&mut scratch);
            lock(&self.free).push(scratch);
        }
    }
}

impl<A: Arithmetic> Drop for Taken<'_, A> {
    fn drop(&mut self) {
        let free = mem::take(&mut *lock(&self.free));
        let mut pool = lock(&self.pool.0);
        // Another run may have made its own meanwhile.
        if pool.len() < free.len() {
            *pool = free;
        }
    }
}

impl<A: Arithmetic> Scratch<A> {
    /// Makes room for any of the `pieces` with so many `vectors` of input channels.
    fn fit(&mut self, pieces: &Pieces, vectors: usize) -> Result<(), TryReserveError> {
        let (rows, columns) = pieces.largest();
        let patches = rows * columns;
        self.input_step = step::<A::Vector>(patches * vectors);
        self.sum_step = step::<Sixteen<A::Vector>>(patches);
        let zero = A::Vector::ZERO;
        grow(&mut self.inputs, PRODUCTS * self.input_step, zero)?;
        grow(&mut self.sums, PRODUCTS * self.sum_step, Sixteen::ZERO)?;
        let [read, written] = A::pixels(columns, vectors);
        grow(&mut self.rows_in, read, A::Pixel::default())?;
        grow(&mut self.rows_out, written, A::Pixel::default())
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
