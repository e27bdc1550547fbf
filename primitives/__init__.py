"""The vocabulary: each module makes primitive sets. A new operator goes here, never into gaaf_gp."""
