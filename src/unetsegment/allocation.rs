//! How many buffers frames come in.

/// Adds to `query`, by which upstream asks how many buffers frames need, the `kept` ones that the element holds at
/// most: a source with too few would have none left, and stand still.
pub fn add_kept(query: &mut gst::query::Allocation, kept: usize) {
    let kept = u32::try_from(kept).unwrap_or(u32::MAX);
    // Where frames go out in the buffers that they came in, downstream has said how many it holds.
    let pools: Vec<_> = query.allocation_pools().collect();
    let mut downstream = 0;
    let mut offered = false;
    for (pool, size, min, max) in pools {
        // Each goes from the front; those of use come back at the end.
        query.remove_nth_allocation_pool(0);
        let all = min.saturating_add(kept);
        // One that can't have as many is of no use.
        if max == 0 || all <= max {
            query.add_allocation_pool(pool.as_ref(), size, all, max);
            offered = true;
        }
        downstream = downstream.max(min);
    }
    let caps = query.get_owned().0;
    let info = caps.and_then(|caps| gst_video::VideoInfo::from_caps(&caps).ok());
    if let Some(size) = info.and_then(|info| u32::try_from(info.size()).ok())
        && !offered
    {
        let all = downstream.saturating_add(kept);
        query.add_allocation_pool(None::<&gst::BufferPool>, size, all, 0);
    }
}
