"""The priors in C: the optional extension module `native`, which `vqcodec.prior.kernel` calls."""
