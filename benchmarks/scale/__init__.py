"""What training on ranks costs, beside PyTorch's, on one machine and on two hosts; and what a model says of many.

python -m benchmarks.scale --help
"""
