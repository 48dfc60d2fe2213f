"""Measurements of quality: does what is learned reach the reply?"""
