"""The order saga as a Django app: what Sagadesk's workers run in the benchmarks."""
