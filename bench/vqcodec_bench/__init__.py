"""`vqcodec bench`: vqcodec and its peers on the same pictures or the same sound, in one run.

codec, medium                  what the rest has to know of codecs and of a medium
pictures, peers, learned       pictures, and the codecs of them
comparisons, published         what is said of pictures alone
sounds, sound_peers, alignment, sound_metrics, reached    the same of sound
measure   one codec at one quality on one file, and the cache of such results
speed     the same in a process of its own: seconds and memory
run       files x codecs x qualities over worker processes
bdrate, summary                what the figures of any medium say
plots, page                    how they are shown; the page is put together of `pages`
command   the command line
"""
