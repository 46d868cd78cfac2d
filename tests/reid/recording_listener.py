"""A training listener that records every call and can interrupt the run."""


class RecordingListener:
    """Record every step and epoch; raise KeyboardInterrupt at the start of epoch `dies_before_epoch`."""

    def __init__(self, dies_before_epoch=None):
        self.dies_before_epoch = dies_before_epoch
        self.steps, self.records = [], []

    def began(self, epoch, epochs, steps):
        if epoch == self.dies_before_epoch:
            raise KeyboardInterrupt

    def stepped(self, losses):
        self.steps.append(losses)

    def ended(self, record):
        self.records.append(record)
