// Which jobs of the table are selected: some, on whatever page, or all that match the filters.

let ids = new Set();
let all = false;
let listener = () => {};

/** Call this whenever other jobs are selected. */
export const onSelection = (call) => (listener = call);

/** Whether the job of this id is selected. */
export const isSelected = (id) => all || ids.has(id);

/** Whether all jobs that match the filters are, also those that the table does not show. */
export const areAllSelected = () => all;

/** Whether any job is. */
export const isAnySelected = () => all || ids.size > 0;

/** The ids of those that were selected one by one, or with their page. */
export const selectedIds = () => [...ids];

/** Select these jobs of the page that is `shown`, or no longer. */
export function select(jobs, wanted, shown) {
  if (all) ids = new Set(shown.map(({ id }) => id));
  all = false;
  for (const { id } of jobs) {
    if (wanted) ids.add(id);
    else ids.delete(id);
  }
  listener();
}

/** Select all that match the filters, or none. */
export function selectAll(wanted) {
  ids = new Set();
  all = wanted;
  listener();
}
