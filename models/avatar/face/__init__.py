"""Faces in pictures: the networks that find them (S3FD, RetinaFace), their landmarks (FAN), and
what to make of both.
"""
