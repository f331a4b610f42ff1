"""`vqcodec bench`: vqcodec and its peers on the same pictures, in one run.

peers     one class per codec: name, version, encode, decode, qualities
measure   one codec at one quality on one picture, and the cache of such results
speed     the same in a process of its own: seconds and memory
run       pictures x codecs x qualities over worker processes
bdrate, published, summary     what the figures say
plots, page                    how they are shown
command   the command line
"""
