/// How many rows a page may hold: always at least one and at most the list's maximum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageSize(u32);

impl PageSize {
    /// Clamps what the caller asked for; zero means the list's default.
    pub fn clamp(asked: u32, default: u32, maximum: u32) -> Self {
        Self(if asked == 0 {
            default
        } else {
            asked.min(maximum)
        })
    }

    /// Rows per page.
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// A request for one page of a list. `token` is the opaque text a former page gave out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PageRequest {
    /// Rows wanted.
    pub size: PageSize,
    /// Where to go on; empty for the first page.
    pub token: String,
}

/// One page of a list with opaque tokens to its neighbours (empty when there is none).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Token of the next page.
    pub next_page_token: String,
    /// Token of the previous page.
    pub prev_page_token: String,
    /// Rows in the whole list.
    pub total_size: u64,
}

impl<T> Page<T> {
    /// Converts every row.
    pub fn map<U>(self, convert: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(convert).collect(),
            next_page_token: self.next_page_token,
            prev_page_token: self.prev_page_token,
            total_size: self.total_size,
        }
    }
}
