//! An output that several threads write to.

use std::marker::PhantomData;
use std::ptr::NonNull;

/// Values of which each is written by one thread.
pub struct Output<'a, T> {
    values: NonNull<T>,
    length: usize,
    borrowed: PhantomData<&'a mut [T]>,
}

// SAFETY: threads get no access to values except through `row`, whose callers see to it that rows don't overlap.
unsafe impl<T: Send> Sync for Output<'_, T> {}

impl<'a, T> Output<'a, T> {
    /// Takes the values of a slice.
    pub fn new(values: &'a mut [T]) -> Self {
        Output {
            length: values.len(),
            values: NonNull::from(values).cast(),
            borrowed: PhantomData,
        }
    }

    /// The values from `first` on; none if they are beyond the end.
    ///
    /// # Safety
    /// No value may be in two rows that exist at the same time.
    #[allow(clippy::mut_from_ref)] // That is its purpose.
    #[inline(always)]
    pub unsafe fn row(&self, first: usize, count: usize) -> &mut [T] {
        if first > self.length || count > self.length - first {
            return &mut [];
        }
        // SAFETY: they are within the slice, which is borrowed for as long as this exists, and in no other row.
        unsafe { std::slice::from_raw_parts_mut(self.values.as_ptr().add(first), count) }
    }
}
