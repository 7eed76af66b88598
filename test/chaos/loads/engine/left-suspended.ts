/** Runs with this tag are suspended, and nobody resumes them: they wait, and that is all right. */
export const LEFT_SUSPENDED = 'left-suspended';
