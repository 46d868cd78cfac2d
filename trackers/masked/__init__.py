"""Our tracker, `masked`: motion and overlap join boxes to tracks, appearance corrects their ids."""
