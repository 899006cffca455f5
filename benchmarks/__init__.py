"""Speed of dysonsim beside other ways to train the same ensembles; see README.md in this folder."""
